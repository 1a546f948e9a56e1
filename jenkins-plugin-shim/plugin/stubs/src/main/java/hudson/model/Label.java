package hudson.model;

import io.nbci.jenkins.stubs.Stub;
import java.util.Set;

public abstract class Label {
  public Set<Node> getNodes() {
    throw Stub.called();
  }
}
