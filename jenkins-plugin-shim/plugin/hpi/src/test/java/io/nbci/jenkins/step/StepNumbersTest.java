package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class StepNumbersTest {
  private final StepNumbers numbers = new StepNumbers();

  @Test
  void stepsSideBySideHaveNumbersOfTheirOwn() {
    Object build = new Object();
    assertEquals(1, numbers.next(build, 0));
    assertEquals(2, numbers.next(build, 0));
    assertEquals(3, numbers.next(build, 1));
  }

  @Test
  void eachBuildBeginsAnew() {
    numbers.next(new Object(), 0);
    assertEquals(1, numbers.next(new Object(), 0));
  }

  @Test
  void whatRanBeforeARestartKeepsItsNumber() {
    assertEquals(3, numbers.next(new Object(), 2));
  }
}
