package io.nbci.jenkins.stubs;

import hudson.security.Permission;
import java.lang.reflect.Constructor;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What the bodies of the stubs are made of.
 *
 * <p>The stubs repeat the signatures of Jenkins that the plugin is compiled against, because
 * jenkins-core is not on Maven Central. They are never shipped: on a controller, the same names are
 * Jenkins' own classes.
 */
public final class Stub {
  private static final Map<String, Permission> PERMISSIONS = new ConcurrentHashMap<>();

  private Stub() {}

  /** Returns the error of a method that only a controller has a body for. */
  public static UnsupportedOperationException called() {
    return new UnsupportedOperationException("a stub: only a Jenkins controller does this");
  }

  /** Returns one permission for each name, so that tests can tell them apart. */
  public static Permission permission(String name) {
    return PERMISSIONS.computeIfAbsent(name, key -> newPermission());
  }

  private static Permission newPermission() {
    try {
      // Jenkins' class has no constructor of this kind, so the stub must not show one
      Constructor<Permission> constructor = Permission.class.getDeclaredConstructor();
      constructor.setAccessible(true);
      return constructor.newInstance();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
