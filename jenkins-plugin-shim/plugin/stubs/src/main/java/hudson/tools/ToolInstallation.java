package hudson.tools;

import hudson.EnvVars;
import hudson.ExtensionPoint;
import hudson.model.Describable;
import hudson.model.Node;
import hudson.model.TaskListener;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;
import java.io.Serializable;
import java.util.List;

public abstract class ToolInstallation
    implements Describable<ToolInstallation>, Serializable, ExtensionPoint {
  private static final long serialVersionUID = 1L;

  protected ToolInstallation(
      String name, String home, List<? extends ToolProperty<?>> properties) {}

  public String getName() {
    throw Stub.called();
  }

  public String getHome() {
    throw Stub.called();
  }

  public void buildEnvVars(EnvVars env) {
    throw Stub.called();
  }

  protected String translateFor(Node node, TaskListener listener)
      throws IOException, InterruptedException {
    throw Stub.called();
  }
}
