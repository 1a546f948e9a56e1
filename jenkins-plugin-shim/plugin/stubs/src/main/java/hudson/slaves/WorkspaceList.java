package hudson.slaves;

import hudson.FilePath;
import io.nbci.jenkins.stubs.Stub;

public final class WorkspaceList {
  private WorkspaceList() {}

  public static FilePath tempDir(FilePath workspace) {
    throw Stub.called();
  }
}
