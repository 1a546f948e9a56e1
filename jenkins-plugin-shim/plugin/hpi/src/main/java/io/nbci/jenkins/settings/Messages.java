package io.nbci.jenkins.settings;

import org.jvnet.localizer.ResourceBundleHolder;

/** The texts of this package, in the language of whoever asks. */
final class Messages {
  private static final ResourceBundleHolder HOLDER = ResourceBundleHolder.get(Messages.class);

  private Messages() {}

  static String AboutNbci_exitCode(Object code) {
    return HOLDER.format("AboutNbci.exitCode", code);
  }

  static String AgentFacts_gpus(Object names) {
    return HOLDER.format("AgentFacts.gpus", names);
  }

  static String AgentFacts_kernels(Object names) {
    return HOLDER.format("AgentFacts.kernels", names);
  }

  static String AgentFacts_machine(Object nbci, Object python, Object platform) {
    return HOLDER.format("AgentFacts.machine", nbci, python, platform);
  }

  static String AgentFacts_noGpus() {
    return HOLDER.format("AgentFacts.noGpus");
  }

  static String AgentFacts_noKernels() {
    return HOLDER.format("AgentFacts.noKernels");
  }

  static String AgentProblem_builtIn() {
    return HOLDER.format("AgentProblem.builtIn");
  }

  static String AgentProblem_failed(Object command, Object agent, Object detail) {
    return HOLDER.format("AgentProblem.failed", command, agent, detail);
  }

  static String AgentProblem_noAnswerInTime(Object agent) {
    return HOLDER.format("AgentProblem.noAnswerInTime", agent);
  }

  static String AgentProblem_noNbci(Object command, Object agent) {
    return HOLDER.format("AgentProblem.noNbci", command, agent);
  }

  static String AgentProblem_noPython(Object command, Object agent) {
    return HOLDER.format("AgentProblem.noPython", command, agent);
  }

  static String AgentProblem_notExecutable(Object command, Object agent) {
    return HOLDER.format("AgentProblem.notExecutable", command, agent);
  }

  static String AgentProblem_notUnderstood(Object command, Object agent) {
    return HOLDER.format("AgentProblem.notUnderstood", command, agent);
  }

  static String AgentProblem_offline(Object agent) {
    return HOLDER.format("AgentProblem.offline", agent);
  }

  static String AgentProblem_oldNbci(Object command, Object agent) {
    return HOLDER.format("AgentProblem.oldNbci", command, agent);
  }

  static String AgentProblem_tooManyQuestions() {
    return HOLDER.format("AgentProblem.tooManyQuestions");
  }

  static String AgentProblem_unreachable(Object agent, Object detail) {
    return HOLDER.format("AgentProblem.unreachable", agent, detail);
  }

  static String FieldChecks_arguments() {
    return HOLDER.format("FieldChecks.arguments");
  }

  static String FieldChecks_control() {
    return HOLDER.format("FieldChecks.control");
  }

  static String FieldChecks_noDuration(Object text) {
    return HOLDER.format("FieldChecks.noDuration", text);
  }

  static String FieldChecks_outside(Object least, Object most) {
    return HOLDER.format("FieldChecks.outside", least, most);
  }

  static String FieldChecks_password() {
    return HOLDER.format("FieldChecks.password");
  }

  static String FieldChecks_relative() {
    return HOLDER.format("FieldChecks.relative");
  }

  static String FieldChecks_tooLong(Object most) {
    return HOLDER.format("FieldChecks.tooLong", most);
  }

  static String KernelChoices_noAgent() {
    return HOLDER.format("KernelChoices.noAgent");
  }

  static String NbciFolderProperty_displayName() {
    return HOLDER.format("NbciFolderProperty.displayName");
  }

  static String NbciInstallation_displayName() {
    return HOLDER.format("NbciInstallation.displayName");
  }

  static String NbciSettings_displayName() {
    return HOLDER.format("NbciSettings.displayName");
  }
}
