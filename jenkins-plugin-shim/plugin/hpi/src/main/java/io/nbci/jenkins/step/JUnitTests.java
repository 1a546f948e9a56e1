package io.nbci.jenkins.step;

import hudson.FilePath;
import hudson.Launcher;
import hudson.model.Run;
import hudson.model.TaskListener;
import hudson.tasks.junit.JUnitResultArchiver;
import java.io.IOException;

/** The cells and gates as tests of the build. Needs the JUnit plugin. */
final class JUnitTests {
  private JUnitTests() {}

  /** The build's result stays nbci's: a refusing gate is a failed test, too. */
  static void publish(
      String file, Run<?, ?> run, FilePath workspace, Launcher launcher, TaskListener listener)
      throws IOException, InterruptedException {
    JUnitResultArchiver archiver = new JUnitResultArchiver(file);
    archiver.setAllowEmptyResults(true);
    archiver.setSkipMarkingBuildUnstable(true);
    archiver.perform(run, workspace, launcher, listener);
  }
}
