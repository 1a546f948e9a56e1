package io.nbci.jenkins.parameters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParameterLinesTest {
  @Test
  void parametersAreLines() {
    assertEquals(
        Map.of("C", "10", "text", "a=b", "empty", ""),
        ParameterLines.parse("# for the night\n C = 10 \n\ntext=a=b\r\nempty="));
  }

  @ParameterizedTest
  @ValueSource(strings = {"C", "=1", "a b=1", "1a=2", "-p=1"})
  void lineThatIsNoParameterIsNamed(String line) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> ParameterLines.parse("C=1\n" + line));

    assertTrue(refused.getMessage().contains("line 2"), refused.getMessage());
    assertTrue(refused.getMessage().contains(line), refused.getMessage());
  }
}
