package io.nbci.jenkins.step;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The workspace on an agent, as far as a build step needs it. Paths are below the workspace. */
interface Agent {
  void write(String path, String text) throws IOException, InterruptedException;

  boolean exists(String path) throws IOException, InterruptedException;

  /** The text of a file, or its first characters; empty where there is no such file. */
  String read(String path, int longest) throws IOException, InterruptedException;

  /** Removes a folder and what is in it; nothing happens where there is none. */
  void deleteFolder(String path) throws IOException, InterruptedException;

  /**
   * Runs a process in the workspace and waits for it; what it prints goes to the log.
   *
   * @return its exit code
   * @throws InterruptedException the build was aborted; the process was told to end
   * @throws CommandMissing there is no such program, or it cannot be run
   */
  int run(List<String> arguments, Map<String, String> environment)
      throws IOException, InterruptedException, CommandMissing;

  /** The program is not on the agent. */
  final class CommandMissing extends Exception {
    private static final long serialVersionUID = 1L;

    CommandMissing(Throwable cause) {
      super(cause.getMessage(), cause);
    }
  }
}
