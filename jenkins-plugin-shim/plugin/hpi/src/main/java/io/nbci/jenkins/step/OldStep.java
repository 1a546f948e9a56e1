package io.nbci.jenkins.step;

import java.util.List;
import java.util.Locale;

/**
 * A step that a job of the machine-learning-plugin saved. Its fields:
 * https://github.com/jenkinsci/machine-learning-plugin/blob/master/src/main/java/io/jenkins/plugins/ml/IPythonBuilder.java
 */
record OldStep(
    String code, String filePath, String parserType, String task, String kernelName) {
  static final String CLASS_NAME = "io.jenkins.plugins.ml.IPythonBuilder";
  private static final String TEXT = "text";

  /** Whether what was read was such a step: it always has a kind of input. */
  boolean isThere() {
    return parserType != null || code != null || filePath != null;
  }

  /** Fills a step with what this one did: code ran in the workspace, wherever its file lay. */
  void fill(NotebookBuilder step) {
    step.setFolder(".");
    step.setKernel(kernel());
    step.setName(slug(task));
    if (runsFile()) {
      step.setTarget(filePath);
    } else {
      step.setCells(List.of(new NotebookCell(code)));
    }
  }

  private boolean runsFile() {
    if (parserType == null || parserType.isEmpty()) {
      return code == null || code.isEmpty();
    }
    return !parserType.equals(TEXT);
  }

  private String kernel() {
    String name = kernelName == null ? "" : kernelName.strip();
    // what Jupyter once called its own
    return name.equals("python") ? "python3" : name;
  }

  private static String slug(String task) {
    if (task == null) {
      return "";
    }
    return task.strip().replaceAll("[^A-Za-z0-9_-]+", "-").toLowerCase(Locale.ROOT);
  }
}
