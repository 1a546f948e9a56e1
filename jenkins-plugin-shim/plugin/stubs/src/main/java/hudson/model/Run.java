package hudson.model;

import hudson.EnvVars;
import hudson.security.AccessControlled;
import io.nbci.jenkins.stubs.Stub;
import java.io.File;
import java.io.IOException;
import jenkins.model.ArtifactManager;

public abstract class Run<J extends Job<J, R>, R extends Run<J, R>> extends Actionable
    implements AccessControlled {
  public J getParent() {
    throw Stub.called();
  }

  public int getNumber() {
    throw Stub.called();
  }

  public File getRootDir() {
    throw Stub.called();
  }

  public EnvVars getEnvironment(TaskListener listener) throws IOException, InterruptedException {
    throw Stub.called();
  }

  public Result getResult() {
    throw Stub.called();
  }

  public void setResult(Result result) {
    throw Stub.called();
  }

  public String getUrl() {
    throw Stub.called();
  }

  public String getDisplayName() {
    throw Stub.called();
  }

  public String getFullDisplayName() {
    throw Stub.called();
  }

  public String getDescription() {
    throw Stub.called();
  }

  public void setDescription(String description) throws IOException {
    throw Stub.called();
  }

  public boolean isBuilding() {
    throw Stub.called();
  }

  public synchronized void save() throws IOException {
    throw Stub.called();
  }

  public R getPreviousBuild() {
    throw Stub.called();
  }

  public final long getStartTimeInMillis() {
    throw Stub.called();
  }

  public final synchronized ArtifactManager pickArtifactManager() throws IOException {
    throw Stub.called();
  }
}
