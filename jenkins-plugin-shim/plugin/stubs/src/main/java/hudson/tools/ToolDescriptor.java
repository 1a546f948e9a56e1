package hudson.tools;

import hudson.model.Descriptor;
import hudson.util.FormValidation;
import io.nbci.jenkins.stubs.Stub;
import java.io.File;
import org.kohsuke.stapler.QueryParameter;

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

  public FormValidation doCheckHome(@QueryParameter File value) {
    throw Stub.called();
  }

  public FormValidation doCheckName(@QueryParameter String value) {
    throw Stub.called();
  }
}
