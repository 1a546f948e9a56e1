package hudson;

import hudson.model.TaskListener;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

public abstract class Launcher {
  public TaskListener getListener() {
    throw Stub.called();
  }

  public boolean isUnix() {
    throw Stub.called();
  }

  public final ProcStarter launch() {
    throw Stub.called();
  }


  public final class ProcStarter {
    public ProcStarter cmds(List<String> arguments) {
      throw Stub.called();
    }

    public ProcStarter envs(Map<String, String> overrides) {
      throw Stub.called();
    }

    public ProcStarter stdout(OutputStream out) {
      throw Stub.called();
    }

    public ProcStarter stderr(OutputStream err) {
      throw Stub.called();
    }

    public ProcStarter pwd(FilePath folder) {
      throw Stub.called();
    }

    public ProcStarter quiet(boolean quiet) {
      throw Stub.called();
    }

    public Proc start() throws IOException {
      throw Stub.called();
    }

    public int join() throws IOException, InterruptedException {
      throw Stub.called();
    }
  }
}
