package hudson.security;

import io.nbci.jenkins.stubs.Stub;

public interface AccessControlled {
  default void checkPermission(Permission permission) {
    throw Stub.called();
  }

  default boolean hasPermission(Permission permission) {
    throw Stub.called();
  }
}
