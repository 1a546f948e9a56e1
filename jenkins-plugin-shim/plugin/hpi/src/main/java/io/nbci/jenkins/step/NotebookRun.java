package io.nbci.jenkins.step;

import io.nbci.jenkins.step.Agent.CommandMissing;
import java.io.IOException;
import java.util.Map;

/** One build step, from its notebook in the workspace to what the build keeps of it. */
final class NotebookRun {
  private static final int LONGEST_ENDING = 64 * 1024;
  private static final String ENDING = "/ending.txt";

  private final Agent agent;
  private final BuildResults results;
  private final long patienceMillis;

  /**
   * @param patienceMillis how long an aborted run has for its partial report; nbci takes less than
   *     five seconds, then Jenkins asks again
   */
  NotebookRun(Agent agent, BuildResults results, long patienceMillis) {
    this.agent = agent;
    this.results = results;
    this.patienceMillis = patienceMillis;
  }

  /**
   * Runs nbci and keeps what it made, whatever came of it.
   *
   * @throws StepFailed the build fails; its message is for the person who reads the log
   * @throws InterruptedException the build was aborted, and its partial report is kept
   */
  void carryOut(RunCommand command, Map<String, String> environment)
      throws IOException, InterruptedException, StepFailed {
    agent.deleteFolder(command.out());
    int exitCode;
    try {
      exitCode = agent.run(command.arguments(), environment);
    } catch (CommandMissing e) {
      throw new StepFailed(Messages.NotebookRun_NoNbci(command.nbci(), e.getMessage()));
    } catch (InterruptedException e) {
      keepWhatIsThere(command);
      throw e;
    }

    Ending ending = keep(command, exitCode);
    switch (ending.outcome()) {
      case SUCCESS -> {}
      case UNSTABLE -> {
        results.log(ending.message());
        results.markUnstable();
      }
      case FAILURE -> throw new StepFailed(ending.message());
    }
  }

  /** After an abort: nbci may still be writing the report of what was done so far. */
  private void keepWhatIsThere(RunCommand command) throws InterruptedException {
    try {
      waitFor(command.out() + ENDING);
      keep(command, 0);
    } catch (IOException e) {
      // the build is aborted either way: a lost agent must not make a failure of it
      results.log(Messages.NotebookRun_NothingKept(e.getMessage()));
    }
  }

  private void waitFor(String file) throws IOException, InterruptedException {
    long end = System.nanoTime() + patienceMillis * 1_000_000;
    while (!agent.exists(file) && System.nanoTime() < end) {
      Thread.sleep(Math.min(200, patienceMillis));
    }
  }

  /** Keeps what nbci left in its folder; returns how it wants the build to end. */
  private Ending keep(RunCommand command, int exitCode) throws IOException, InterruptedException {
    String folder = command.out();
    Ending ending = Ending.read(agent.read(folder + ENDING, LONGEST_ENDING), exitCode);
    if (!agent.exists(folder + ENDING)) {
      return ending;
    }

    results.publishTests(folder + "/report/junit.xml");
    String report = results.keepFiles(folder);
    results.showPage(folder + "/page.json", report);
    if (!ending.description().isEmpty()) {
      results.describe(ending.description());
    }
    agent.deleteFolder(folder);
    return ending;
  }

  /** The build fails for a reason that a person can do something about. */
  static final class StepFailed extends Exception {
    private static final long serialVersionUID = 1L;

    StepFailed(String message) {
      super(message);
    }
  }
}
