package io.nbci.jenkins.step;

import java.util.List;

/**
 * How a build step ends.
 *
 * @param description a line for the build; empty where nbci wrote none
 */
record Ending(Outcome outcome, String message, String description) {
  enum Outcome {
    SUCCESS,
    UNSTABLE,
    FAILURE
  }

  private static final String FORMAT = "nbci-ending 1";

  /**
   * Reads what nbci wrote about a process that ended with this exit code: a file of lines with tabs
   * between fields, the first of them its format. Empty text: nbci wrote nothing.
   */
  static Ending read(String text, int exitCode) {
    Outcome outcome = Outcome.FAILURE;
    String message = ExitCodes.sentence(exitCode);
    String description = "";
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.get(0).equals(FORMAT)) {
      return new Ending(outcome, message, description);
    }

    for (String line : lines) {
      String[] fields = line.split("\t", -1);
      if (fields[0].equals("result") && fields.length == 3) {
        Outcome written = outcomeNamed(fields[1]);
        // a process that failed after it wrote of success did not end well
        if (written != Outcome.SUCCESS || exitCode == 0) {
          outcome = written;
          message = fields[2];
        }
      } else if (fields[0].equals("description") && fields.length == 2) {
        description = fields[1];
      }
    }
    return new Ending(outcome, message, description);
  }

  private static Outcome outcomeNamed(String name) {
    return switch (name) {
      case "success" -> Outcome.SUCCESS;
      case "unstable" -> Outcome.UNSTABLE;
      default -> Outcome.FAILURE;
    };
  }
}
