package hudson.model;

import io.nbci.jenkins.stubs.Stub;
import java.util.List;

public abstract class Actionable {
  @Deprecated
  public List<Action> getActions() {
    throw Stub.called();
  }

  public <T extends Action> T getAction(Class<T> type) {
    throw Stub.called();
  }

  public <T extends Action> List<T> getActions(Class<T> type) {
    throw Stub.called();
  }

  public void addAction(Action action) {
    throw Stub.called();
  }
}
