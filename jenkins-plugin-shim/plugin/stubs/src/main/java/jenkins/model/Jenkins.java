package jenkins.model;

import hudson.model.AbstractCIBase;
import hudson.model.Descriptor;
import hudson.model.Label;
import hudson.model.Node;
import hudson.security.AccessControlled;
import hudson.security.Permission;
import io.nbci.jenkins.stubs.Stub;
import java.util.List;

public class Jenkins extends AbstractCIBase implements AccessControlled {
  public static final Permission ADMINISTER = Stub.permission("Jenkins.ADMINISTER");
  public static final Permission READ = Stub.permission("Jenkins.READ");
  public static Jenkins get() {
    throw Stub.called();
  }

  @SuppressWarnings("rawtypes")
  public <T extends Descriptor> T getDescriptorByType(Class<T> type) {
    throw Stub.called();
  }

  public Node getNode(String name) {
    throw Stub.called();
  }

  public List<Node> getNodes() {
    throw Stub.called();
  }

  public Label getLabel(String expression) {
    throw Stub.called();
  }

  @Override
  public hudson.FilePath getRootPath() {
    throw Stub.called();
  }

  @Override
  public hudson.Launcher createLauncher(hudson.model.TaskListener listener) {
    throw Stub.called();
  }

  @Override
  public int getNumExecutors() {
    throw Stub.called();
  }

  @Override
  public Mode getMode() {
    throw Stub.called();
  }
}
