package hudson.model;

import hudson.EnvVars;
import io.nbci.jenkins.stubs.Stub;
import java.io.Serializable;

public abstract class ParameterValue implements Serializable {
  private static final long serialVersionUID = 1L;

  protected final String name;

  protected ParameterValue(String name) {
    this.name = name;
  }

  public final String getName() {
    throw Stub.called();
  }

  public void buildEnvironment(Run<?, ?> build, EnvVars env) {
    throw Stub.called();
  }

  public String getShortDescription() {
    throw Stub.called();
  }

  public Object getValue() {
    throw Stub.called();
  }
}
