package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BoundsTest {
  private static final Bounds BOUNDS = new Bounds(2, 50, 500);

  @ParameterizedTest
  @CsvSource({", 50", "0, 50", "1, 2", "-7, 2", "2, 2", "77, 77", "500, 500", "501, 500"})
  void setting(Integer stored, int setting) {
    assertEquals(setting, BOUNDS.setting(stored));
  }
}
