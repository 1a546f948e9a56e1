package org.kohsuke.stapler;

import io.nbci.jenkins.stubs.Stub;

public class Stapler {
  public static StaplerRequest2 getCurrentRequest2() {
    throw Stub.called();
  }
}
