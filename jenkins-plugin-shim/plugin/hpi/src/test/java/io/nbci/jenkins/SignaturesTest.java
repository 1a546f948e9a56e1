package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SortedSet;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * The stubs have the signatures of a real Jenkins: a wrong one would be seen only when the plugin
 * runs, as a NoSuchMethodError.
 */
class SignaturesTest {
  private static final Path STUBS = Path.of(System.getProperty("nbci.stubs"));
  private static final Path RECORDED = Path.of("src/test/resources/signatures-2.568.2.txt");

  @Test
  void everyStubIsAsRecorded() throws IOException {
    SortedSet<String> stubs = new TreeSet<>();
    for (String name : Signatures.classesIn(STUBS)) {
      stubs.addAll(Signatures.of(name, STUBS.toString()));
    }
    SortedSet<String> recorded =
        new TreeSet<>(Files.readAllLines(RECORDED, StandardCharsets.UTF_8));

    // javac gives a stub this constructor, for tests that extend it; the plugin calls no such one,
    // which ReferencesTest holds
    stubs.removeIf(line -> isDefaultConstructor(line) && !recorded.contains(line));
    assertFalse(stubs.isEmpty());
    // as texts, so that a difference is a line and not two long sets
    assertEquals(String.join("\n", recorded), String.join("\n", stubs));
  }

  private static boolean isDefaultConstructor(String line) {
    String[] words = line.split(" ");
    return words.length == 3 && words[0].equals(words[1]) && words[2].equals("()V");
  }
}
