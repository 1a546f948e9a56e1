package hudson.tools;

import hudson.model.Descriptor;
import io.nbci.jenkins.stubs.Stub;

public abstract class ToolDescriptor<T extends ToolInstallation>
    extends Descriptor<ToolInstallation> {
  protected ToolDescriptor() {}

  public T[] getInstallations() {
    throw Stub.called();
  }

  @SuppressWarnings("unchecked")
  public void setInstallations(T... installations) {
    throw Stub.called();
  }
}
