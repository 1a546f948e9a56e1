package hudson.tasks.junit;

import hudson.FilePath;
import hudson.Launcher;
import hudson.model.Run;
import hudson.model.TaskListener;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;

public class JUnitResultArchiver {
  public JUnitResultArchiver(String testResults) {}

  public final void setAllowEmptyResults(boolean allow) {
    throw Stub.called();
  }

  public void setSkipMarkingBuildUnstable(boolean skip) {
    throw Stub.called();
  }

  @SuppressWarnings("rawtypes")
  public void perform(Run build, FilePath workspace, Launcher launcher, TaskListener listener)
      throws InterruptedException, IOException {
    throw Stub.called();
  }
}
