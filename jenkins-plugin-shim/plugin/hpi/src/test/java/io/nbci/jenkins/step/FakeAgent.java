package io.nbci.jenkins.step;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A workspace in memory; what the process does is the test's. */
final class FakeAgent implements Agent {
  interface Process {
    int run(Map<String, String> files) throws InterruptedException, CommandMissing;
  }

  final Map<String, String> files = new TreeMap<>();
  final List<List<String>> started = new ArrayList<>();
  Process process = files -> 0;

  @Override
  public void write(String path, String text) {
    files.put(path, text);
  }

  @Override
  public boolean exists(String path) {
    return files.containsKey(path);
  }

  @Override
  public String read(String path, int longest) {
    String text = files.getOrDefault(path, "");
    return text.substring(0, Math.min(longest, text.length()));
  }

  @Override
  public void deleteFolder(String path) {
    files.keySet().removeIf(file -> file.startsWith(path + "/"));
  }

  @Override
  public int run(List<String> arguments, Map<String, String> environment)
      throws InterruptedException, CommandMissing {
    started.add(arguments);
    return process.run(files);
  }
}
