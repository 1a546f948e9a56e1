package io.nbci.jenkins;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;

/** The files of `src/main/resources`, as tests of all of them read them. */
public final class ResourceFiles {
  public static final Path ROOT = Path.of("src/main/resources");

  private ResourceFiles() {}

  /** All files whose names end so, sorted. */
  public static List<Path> endingWith(String ending) {
    try (Stream<Path> files = Files.walk(ROOT)) {
      return files.filter(file -> file.toString().endsWith(ending)).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static String text(Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The texts of a file of properties; none where there is no such file. */
  public static Properties properties(Path file) {
    Properties found = new Properties();
    if (Files.exists(file)) {
      // Jenkins reads the files of views as Latin-1 with escapes, and java.util.Properties as well
      try (Reader reader = Files.newBufferedReader(file, StandardCharsets.ISO_8859_1)) {
        found.load(reader);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return found;
  }

  /** The file that has this one's texts in Spanish. */
  public static Path inSpanish(Path file) {
    String name = file.getFileName().toString();
    int dot = name.lastIndexOf('.');
    return file.resolveSibling(name.substring(0, dot) + "_es" + name.substring(dot));
  }
}
