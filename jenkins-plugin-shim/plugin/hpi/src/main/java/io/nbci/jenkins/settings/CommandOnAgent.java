package io.nbci.jenkins.settings;

import java.io.IOException;
import java.util.List;

/** A machine on which a program can be started: an agent, or a fake one. */
interface CommandOnAgent {
  /**
   * Runs a program and waits for it, for a limited time.
   *
   * @throws IOException if the program cannot be started, or the machine does not answer
   */
  Result run(List<String> command) throws IOException, InterruptedException;

  /**
   * What came of it.
   *
   * @param timedOut it was ended by us, so the rest means nothing
   */
  record Result(int exitCode, String output, String errors, boolean timedOut) {}
}
