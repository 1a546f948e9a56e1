package jenkins.model.experimentalflags;

import hudson.ExtensionPoint;
import io.nbci.jenkins.stubs.Stub;

public abstract class UserExperimentalFlag<T> implements ExtensionPoint {
  public static <T> T getFlagValueForCurrentUser(String flagClassCanonicalName) {
    throw Stub.called();
  }
}
