package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DurationTest {
  @ParameterizedTest
  @CsvSource({
    "90s, 90", "30m, 1800", "1h30m, 5400", "2d, 172800", "1.5h, 5400", "45, 45", "' 2h ', 7200"
  })
  void seconds(String text, double seconds) {
    assertEquals(seconds, Duration.parse(text).orElseThrow());
  }

  @Test
  void aNumberThatIsNoNumberAnymore() {
    assertTrue(Duration.parse("9".repeat(400)).isEmpty());
    assertTrue(Duration.parse("9".repeat(400) + "d").isEmpty());
  }
}
