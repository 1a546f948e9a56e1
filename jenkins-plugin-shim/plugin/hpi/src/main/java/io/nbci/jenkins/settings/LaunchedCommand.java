package io.nbci.jenkins.settings;

import hudson.EnvVars;
import hudson.FilePath;
import hudson.Launcher;
import hudson.Proc;
import hudson.model.Computer;
import hudson.model.Node;
import hudson.model.TaskListener;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs a program on a node of Jenkins, with the environment that builds have there. */
final class LaunchedCommand implements CommandOnAgent {
  private static final int MOST_BYTES = 256 * 1024;

  private final Node node;
  private final int seconds;

  LaunchedCommand(Node node, int seconds) {
    this.node = node;
    this.seconds = seconds;
  }

  @Override
  public Result run(List<String> command) throws IOException, InterruptedException {
    FilePath folder = node.getRootPath();
    Computer computer = node.toComputer();
    if (folder == null || computer == null) {
      throw new IOException("the connection is gone");
    }
    BoundedOutput output = new BoundedOutput(MOST_BYTES);
    BoundedOutput errors = new BoundedOutput(MOST_BYTES);
    Launcher launcher = node.createLauncher(TaskListener.NULL);

    // kernels are found by variables, too, such as JUPYTER_PATH
    EnvVars environment = computer.buildEnvironment(TaskListener.NULL);
    Proc process =
        launcher
            .launch()
            .cmds(command.stream().map(environment::expand).toList())
            .envs(environment)
            .pwd(folder)
            .quiet(true)
            .stdout(output)
            .stderr(errors)
            .start();
    long start = System.nanoTime();
    int exitCode = process.joinWithTimeout(seconds, TimeUnit.SECONDS, TaskListener.NULL);

    // it does not tell a program that it ended from one that failed
    boolean timedOut = System.nanoTime() - start >= TimeUnit.SECONDS.toNanos(seconds);
    return new Result(exitCode, output.text(), errors.text(), timedOut);
  }
}
