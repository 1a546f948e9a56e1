package io.nbci.jenkins.step;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The call of {@code nbci run} for one build step. Texts that are empty were not given.
 *
 * @param nbci the command on the agent
 * @param target the notebook or pipeline file, below the workspace
 * @param out the folder for what the build keeps, below the workspace
 * @param folder where cells run, below the workspace
 * @param informs whether gates only say what they would refuse
 */
record RunCommand(
    String nbci,
    String target,
    String out,
    Map<String, String> parameters,
    String kernel,
    String from,
    String until,
    String only,
    String folder,
    String environment,
    String runTimeout,
    String cellTimeout,
    boolean informs) {

  /** The arguments, as the process takes them: no shell reads them. */
  List<String> arguments() {
    List<String> arguments = new ArrayList<>(List.of(nbci, "run", "--out", out));
    parameters.forEach((name, value) -> arguments.addAll(List.of("-p", name + "=" + value)));
    add(arguments, "--kernel", kernel);
    add(arguments, "--from", from);
    add(arguments, "--until", until);
    add(arguments, "--only", only);
    add(arguments, "--in", folder);
    add(arguments, "--environment", environment);
    add(arguments, "--run-timeout", runTimeout);
    add(arguments, "--cell-timeout", cellTimeout);
    if (informs) {
      arguments.add("--no-gate");
    }
    // a target may begin with a dash, and an option must not come of it
    arguments.add("--");
    arguments.add(target);
    return arguments;
  }

  private static void add(List<String> arguments, String option, String value) {
    if (!value.isEmpty()) {
      // one argument: a value that begins with a dash is no option, either
      arguments.add(option + "=" + value);
    }
  }
}
