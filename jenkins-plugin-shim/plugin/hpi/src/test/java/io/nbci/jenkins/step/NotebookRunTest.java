package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.step.Agent.CommandMissing;
import io.nbci.jenkins.step.NotebookRun.StepFailed;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class NotebookRunTest {
  private static final String OUT = ".nbci/build/notebook";
  private static final List<String> ALL_KEPT =
      List.of(
          "tests " + OUT + "/report/junit.xml",
          "files " + OUT,
          "page " + OUT + "/page.json artifact/notebook/report/",
          "description done");

  private final FakeAgent agent = new FakeAgent();
  private final FakeResults results = new FakeResults();

  @Test
  void whatNbciMadeIsKept() throws Exception {
    agent.process = files -> end(files, "success", "passed", 0);

    run();

    assertEquals(ALL_KEPT, results.kept);
    assertEquals(Map.of(), agent.files);
  }

  @Test
  void refusingGateMakesTheBuildUnstable() throws Exception {
    agent.process = files -> end(files, "unstable", "accuracy misses by 0.02", 3);

    run();

    assertTrue(results.kept.contains("unstable"));
    assertEquals(List.of("accuracy misses by 0.02"), results.log);
  }

  @Test
  void failureFailsTheStepWithNbcisWords() {
    agent.process = files -> end(files, "failure", "step train failed: ValueError", 1);

    StepFailed failed = assertThrows(StepFailed.class, this::run);

    assertEquals("step train failed: ValueError", failed.getMessage());
    assertEquals(ALL_KEPT, results.kept);
  }

  @Test
  void resultOfAnEarlierBuildIsNotKept() {
    end(agent.files, "success", "of yesterday", 0);
    agent.process = files -> 2;

    assertThrows(StepFailed.class, this::run);

    assertEquals(List.of(), results.kept);
  }

  @Test
  void agentWithoutNbciIsNamedInfrastructure() {
    agent.process =
        files -> {
          throw new CommandMissing(new IOException("Cannot run program \"nbci\""));
        };

    StepFailed failed = assertThrows(StepFailed.class, this::run);

    assertTrue(failed.getMessage().startsWith("infrastructure: "), failed.getMessage());
    assertTrue(failed.getMessage().contains("Cannot run program \"nbci\""));
  }

  @Test
  void abortKeepsThePartialReportAndStaysAnAbort() {
    agent.process =
        files -> {
          end(files, "failure", "interrupted", 143);
          throw new InterruptedException("aborted");
        };

    assertThrows(InterruptedException.class, this::run);

    assertEquals(ALL_KEPT, results.kept);
  }

  @Test
  void abortWithoutAReportStaysAnAbort() {
    agent.process =
        files -> {
          throw new InterruptedException("aborted");
        };

    assertThrows(InterruptedException.class, this::run);

    assertEquals(List.of(), results.kept);
  }

  private void run() throws Exception {
    RunCommand command =
        new RunCommand(
            "nbci", "train.ipynb", OUT, Map.of(), "", "", "", "", "", "", "", "", false);
    new NotebookRun(agent, results, 20).carryOut(command, Map.of());
  }

  private static int end(Map<String, String> files, String result, String message, int code) {
    files.put(
        OUT + "/ending.txt",
        "nbci-ending 1\nresult\t" + result + "\t" + message + "\ndescription\tdone\n");
    files.put(OUT + "/page.json", "{}");
    return code;
  }
}
