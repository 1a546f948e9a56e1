package hudson.model;

import hudson.FilePath;
import hudson.Launcher;
import hudson.security.AccessControlled;
import io.nbci.jenkins.stubs.Stub;

public abstract class Node implements AccessControlled {
  public abstract String getNodeName();

  public abstract FilePath getRootPath();

  public abstract Launcher createLauncher(TaskListener listener);

  public abstract int getNumExecutors();

  public abstract Mode getMode();

  public final Computer toComputer() {
    throw Stub.called();
  }

  public enum Mode {
    NORMAL,
    EXCLUSIVE
  }
}
