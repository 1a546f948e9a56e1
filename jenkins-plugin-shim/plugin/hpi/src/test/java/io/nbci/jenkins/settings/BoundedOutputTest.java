package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class BoundedOutputTest {
  private final BoundedOutput output = new BoundedOutput(5);

  @Test
  void theBeginningIsKept() throws IOException {
    output.write("abc".getBytes(StandardCharsets.UTF_8));
    output.write("defgh".getBytes(StandardCharsets.UTF_8));
    output.write("ijk".getBytes(StandardCharsets.UTF_8));
    output.write('l');

    assertEquals("abcde", output.text());
  }

  @Test
  void aShortOutputIsKeptWhole() {
    output.write('a');

    assertEquals("a", output.text());
  }
}
