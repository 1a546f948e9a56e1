package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A package uses only those below it. */
class LayersTest {
  private static final List<String> TOP_DOWN = List.of("step", "parameters", "page", "settings");
  private static final Path ROOT = Path.of("src/main/java/io/nbci/jenkins");
  private static final Pattern IMPORT = Pattern.compile("import io\\.nbci\\.jenkins\\.([a-z]+)\\.");

  @Test
  void everyPackageHasItsPlace() throws IOException {
    try (Stream<Path> found = Files.list(ROOT)) {
      assertTrue(
          found.map(folder -> folder.getFileName().toString()).allMatch(TOP_DOWN::contains));
    }
  }

  @Test
  void importsPointDown() throws IOException {
    for (String name : TOP_DOWN) {
      List<String> below = TOP_DOWN.subList(TOP_DOWN.indexOf(name), TOP_DOWN.size());
      try (Stream<Path> found = Files.list(ROOT.resolve(name))) {
        List<Path> files = found.toList();
        assertFalse(files.isEmpty());
        for (Path file : files) {
          Matcher imported = IMPORT.matcher(Files.readString(file));
          while (imported.find()) {
            assertTrue(below.contains(imported.group(1)), () -> file + ": " + imported.group());
          }
        }
      }
    }
  }
}
