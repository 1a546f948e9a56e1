package io.nbci.jenkins.step;

import java.util.ArrayList;
import java.util.List;

/** Notes what a step leaves with its build. */
final class FakeResults implements BuildResults {
  final List<String> kept = new ArrayList<>();
  final List<String> log = new ArrayList<>();

  @Override
  public String keepFiles(String resultFolder) {
    kept.add("files " + resultFolder);
    return "artifact/notebook/report/";
  }

  @Override
  public void publishTests(String junitFile) {
    kept.add("tests " + junitFile);
  }

  @Override
  public void showPage(String pageFile, String report) {
    kept.add("page " + pageFile + " " + report);
  }

  @Override
  public void describe(String line) {
    kept.add("description " + line);
  }

  @Override
  public void markUnstable() {
    kept.add("unstable");
  }

  @Override
  public void log(String line) {
    log.add(line);
  }
}
