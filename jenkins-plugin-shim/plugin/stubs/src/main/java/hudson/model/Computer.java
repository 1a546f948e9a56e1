package hudson.model;

import hudson.EnvVars;
import hudson.security.AccessControlled;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;
import java.util.concurrent.ExecutorService;

public abstract class Computer implements AccessControlled {
  public static final ExecutorService threadPoolForRemoting = null;

  public String getName() {
    throw Stub.called();
  }

  public String getDisplayName() {
    throw Stub.called();
  }

  public Node getNode() {
    throw Stub.called();
  }

  public final boolean isOnline() {
    throw Stub.called();
  }

  public EnvVars buildEnvironment(TaskListener listener) throws IOException, InterruptedException {
    throw Stub.called();
  }
}
