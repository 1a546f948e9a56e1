package jenkins.model;

import hudson.model.Action;
import hudson.model.Actionable;
import io.nbci.jenkins.stubs.Stub;

public abstract class Tab implements Action, Badgeable {
  public Tab(Actionable object) {}

  public Actionable getObject() {
    throw Stub.called();
  }
}
