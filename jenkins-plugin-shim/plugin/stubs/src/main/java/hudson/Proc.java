package hudson;

import hudson.model.TaskListener;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

public abstract class Proc {
  public abstract boolean isAlive() throws IOException, InterruptedException;

  public abstract void kill() throws IOException, InterruptedException;

  public abstract int join() throws IOException, InterruptedException;
  public final int joinWithTimeout(long timeout, TimeUnit unit, TaskListener listener)
      throws IOException, InterruptedException {
    throw Stub.called();
  }
}
