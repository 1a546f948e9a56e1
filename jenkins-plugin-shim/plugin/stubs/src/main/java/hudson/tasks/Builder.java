package hudson.tasks;

import hudson.ExtensionPoint;
import hudson.model.Describable;
import hudson.model.Descriptor;
import io.nbci.jenkins.stubs.Stub;

public abstract class Builder extends BuildStepCompatibilityLayer
    implements Describable<Builder>, ExtensionPoint {
  public Descriptor<Builder> getDescriptor() {
    throw Stub.called();
  }
}
