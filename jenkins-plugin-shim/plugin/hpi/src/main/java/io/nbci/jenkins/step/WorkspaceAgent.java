package io.nbci.jenkins.step;

import hudson.FilePath;
import hudson.Launcher;
import hudson.Proc;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A workspace of Jenkins. */
final class WorkspaceAgent implements Agent {
  private final FilePath workspace;
  private final Launcher launcher;
  private final OutputStream log;

  WorkspaceAgent(FilePath workspace, Launcher launcher, OutputStream log) {
    this.workspace = workspace;
    this.launcher = launcher;
    this.log = log;
  }

  @Override
  public void write(String path, String text) throws IOException, InterruptedException {
    // creates the folders that it lies in
    workspace.child(path).write(text, StandardCharsets.UTF_8.name());
  }

  @Override
  public boolean exists(String path) throws IOException, InterruptedException {
    return workspace.child(path).exists();
  }

  @Override
  public String read(String path, int longest) throws IOException, InterruptedException {
    FilePath file = workspace.child(path);
    if (!file.exists()) {
      return "";
    }
    try (InputStream content = file.read()) {
      return new String(content.readNBytes(longest), StandardCharsets.UTF_8);
    }
  }

  @Override
  public void deleteFolder(String path) throws IOException, InterruptedException {
    workspace.child(path).deleteRecursive();
  }

  @Override
  public int run(List<String> arguments, Map<String, String> environment)
      throws IOException, InterruptedException, CommandMissing {
    Proc process;
    try {
      process =
          launcher
              .launch()
              .cmds(arguments.stream().map(WorkspaceAgent::literal).toList())
              .envs(literal(environment))
              .pwd(workspace)
              .stdout(log)
              .start();
    } catch (IOException e) {
      throw new CommandMissing(e);
    }
    try {
      return process.join();
    } finally {
      log.flush();
    }
  }

  private static Map<String, String> literal(Map<String, String> environment) {
    Map<String, String> literal = new TreeMap<>(environment);
    literal.replaceAll((name, value) -> literal(value));
    return literal;
  }

  /**
   * Written so that it arrives as it is: Jenkins puts values in for {@code $NAME} when it starts a
   * process. Here they are in place already, and a password may hold a dollar.
   */
  static String literal(String text) {
    return text.replace("$", "$$");
  }
}
