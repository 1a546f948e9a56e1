package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WorkspaceAgentTest {
  /** What Jenkins makes `$` of again: https://javadoc.jenkins.io/hudson/Util.html */
  @ParameterizedTest
  @CsvSource({"plain, plain", "$HOME, $$HOME", "a$$b, a$$$$b", "${X}, $${X}"})
  void dollarsArriveAsTheyAre(String text, String written) {
    assertEquals(written, WorkspaceAgent.literal(text));
  }
}
