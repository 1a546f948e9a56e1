package hudson.model;

import io.nbci.jenkins.stubs.Stub;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class SimpleParameterDefinition extends ParameterDefinition {
  private static final long serialVersionUID = 1L;

  protected SimpleParameterDefinition(String name) {
    super(name);
  }

  public abstract ParameterValue createValue(String value);

  @Override
  public final ParameterValue createValue(StaplerRequest2 request) {
    throw Stub.called();
  }
}
