package hudson.model;

import hudson.FilePath;
import io.nbci.jenkins.stubs.Stub;

public abstract class AbstractProject<P extends AbstractProject<P, R>, R extends Run<P, R>>
    extends Job<P, R> {
  public Label getAssignedLabel() {
    throw Stub.called();
  }

  public final FilePath getSomeWorkspace() {
    throw Stub.called();
  }
}
