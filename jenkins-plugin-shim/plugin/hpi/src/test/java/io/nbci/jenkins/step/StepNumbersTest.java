package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class StepNumbersTest {
  private final StepNumbers numbers = new StepNumbers();

  @Test
  void stepsSideBySideHaveNumbersOfTheirOwn() {
    Object build = new Object();
    assertEquals(1, numbers.next(build, List.of()));
    assertEquals(2, numbers.next(build, List.of()));
    assertEquals(3, numbers.next(build, List.of("artifact/notebook/report/")));
  }

  @Test
  void eachBuildBeginsAnew() {
    numbers.next(new Object(), List.of());
    assertEquals(1, numbers.next(new Object(), List.of()));
  }

  @Test
  void whatRanBeforeARestartKeepsItsNumber() {
    // the first of two that ran side by side was lost with the restart
    assertEquals(3, numbers.next(new Object(), List.of("artifact/notebook-2/report/")));
  }

  @Test
  void reportsOfPipelinesTakeNoNumber() {
    List<String> reports = List.of("Notebook_20report/", "artifact/.nbci/build/p/report/", "");
    assertEquals(1, numbers.next(new Object(), reports));
  }
}
