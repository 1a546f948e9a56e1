package io.nbci.jenkins.step;

import java.io.IOException;

/** What a build step leaves with its build. Paths are below the workspace. */
interface BuildResults {
  /** Keeps report and executed notebooks as artifacts, and returns the report's folder there. */
  String keepFiles(String resultFolder) throws IOException, InterruptedException;

  /** Adds the tests of the report to those of the build, where Jenkins has tests. */
  void publishTests(String junitFile) throws IOException, InterruptedException;

  /** Gives the build its page; `report` is the report's folder below the build's address. */
  void showPage(String pageFile, String report) throws IOException, InterruptedException;

  /** Adds a line to the description of the build, which may have one of another step. */
  void describe(String line) throws IOException;

  void markUnstable();

  void log(String line);
}
