package hudson.model;

import io.nbci.jenkins.stubs.Stub;
import java.io.Serializable;
import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class ParameterDefinition
    implements Describable<ParameterDefinition>, Serializable {
  private static final long serialVersionUID = 1L;

  protected ParameterDefinition(String name) {}

  public String getName() {
    throw Stub.called();
  }

  public String getDescription() {
    throw Stub.called();
  }

  public void setDescription(String description) {
    throw Stub.called();
  }

  public ParameterDescriptor getDescriptor() {
    throw Stub.called();
  }

  public ParameterValue createValue(StaplerRequest2 request, JSONObject json) {
    throw Stub.called();
  }

  public ParameterValue createValue(StaplerRequest2 request) {
    throw Stub.called();
  }

  public ParameterValue getDefaultParameterValue() {
    throw Stub.called();
  }

  public ParameterDefinition copyWithDefaultValue(ParameterValue defaultValue) {
    throw Stub.called();
  }

  public abstract static class ParameterDescriptor extends Descriptor<ParameterDefinition> {
    protected ParameterDescriptor() {}
  }
}
