package io.nbci.jenkins.settings;

import hudson.model.AbstractProject;
import hudson.model.Item;
import hudson.model.Label;
import java.util.List;

/**
 * The kernels that a job may choose from, as an agent of the job has them now.
 *
 * @param reason why there are none, as a sentence; empty where there are some
 */
public record KernelChoices(List<AgentFacts.Kernel> kernels, String reason) {
  /** A form waits for it. */
  private static final int SECONDS = 5;

  public KernelChoices {
    kernels = List.copyOf(kernels);
  }

  /** The names of the kernels, for a drop-down. */
  public List<String> names() {
    return kernels.stream().map(AgentFacts.Kernel::name).toList();
  }

  /** The names of the kernels for a job's form; none where they are not known. */
  public static List<String> forItem(Item item, String command) {
    return ask(item, command).names();
  }

  /**
   * Asks the first agent that is online and would take the job.
   *
   * <p>The caller has checked that the person may configure the item: a program is started.
   *
   * @param item the job; null where the form belongs to none
   * @param command the program that the form names; blank: that of the settings
   */
  public static KernelChoices ask(Item item, String command) {
    String program = command == null ? "" : command.strip();
    FieldCheck check = FieldChecks.command(program);
    if (check.severity() == FieldCheck.Severity.ERROR) {
      return none(check.message());
    }
    List<OnlineNode> nodes = nodesFor(item);
    if (nodes.isEmpty()) {
      return none(Messages.KernelChoices_noAgent());
    }
    if (program.isEmpty()) {
      program = EffectiveSettings.of(item).command();
    }
    return of(AgentProbe.ask(nodes.get(0), program, SECONDS));
  }

  static KernelChoices of(AgentAnswer answer) {
    if (answer instanceof AgentFacts facts) {
      String reason = facts.kernels().isEmpty() ? Messages.AgentFacts_noKernels() : "";
      return new KernelChoices(facts.kernels(), reason);
    }
    return none(((AgentProblem) answer).sentence());
  }

  private static KernelChoices none(String reason) {
    return new KernelChoices(List.of(), reason);
  }

  private static List<OnlineNode> nodesFor(Item item) {
    Label label = item instanceof AbstractProject<?, ?> job ? job.getAssignedLabel() : null;
    return label == null ? OnlineNode.forAnyJob() : OnlineNode.among(label.getNodes());
  }
}
