package io.nbci.jenkins.step;

import org.jvnet.localizer.ResourceBundleHolder;

/** The texts of Messages.properties, in the language of the person who asks. */
final class Messages {
  private static final ResourceBundleHolder HOLDER = ResourceBundleHolder.get(Messages.class);

  private Messages() {}

  static String ExitCodes_Bug() {
    return HOLDER.format("ExitCodes.Bug");
  }

  static String ExitCodes_CannotRun() {
    return HOLDER.format("ExitCodes.CannotRun");
  }

  static String ExitCodes_GateRefused() {
    return HOLDER.format("ExitCodes.GateRefused");
  }

  static String ExitCodes_Infrastructure() {
    return HOLDER.format("ExitCodes.Infrastructure");
  }

  static String ExitCodes_Integrity() {
    return HOLDER.format("ExitCodes.Integrity");
  }

  static String ExitCodes_Interrupted() {
    return HOLDER.format("ExitCodes.Interrupted");
  }

  static String ExitCodes_Killed() {
    return HOLDER.format("ExitCodes.Killed");
  }

  static String ExitCodes_Sentence(int exitCode, String meaning) {
    return HOLDER.format("ExitCodes.Sentence", String.valueOf(exitCode), meaning);
  }

  static String ExitCodes_StepFailed() {
    return HOLDER.format("ExitCodes.StepFailed");
  }

  static String ExitCodes_WrongUsage() {
    return HOLDER.format("ExitCodes.WrongUsage");
  }

  static String ExitCodes_WroteNothing() {
    return HOLDER.format("ExitCodes.WroteNothing");
  }

  static String JenkinsResults_NoJUnit() {
    return HOLDER.format("JenkinsResults.NoJUnit");
  }

  static String NotebookBuilder_DisplayName() {
    return HOLDER.format("NotebookBuilder.DisplayName");
  }

  static String NotebookBuilder_NoInstallation() {
    return HOLDER.format("NotebookBuilder.NoInstallation");
  }

  static String NotebookCell_DisplayName() {
    return HOLDER.format("NotebookCell.DisplayName");
  }

  static String NotebookRun_NoNbci(String command, String reason) {
    return HOLDER.format("NotebookRun.NoNbci", command, reason);
  }

  static String NotebookRun_NothingKept(String reason) {
    return HOLDER.format("NotebookRun.NothingKept", reason);
  }

  static String SecretBinding_DisplayName() {
    return HOLDER.format("SecretBinding.DisplayName");
  }

  static String SecretBinding_NoCredentials() {
    return HOLDER.format("SecretBinding.NoCredentials");
  }

  static String SecretBinding_NoName() {
    return HOLDER.format("SecretBinding.NoName");
  }

  static String SecretValues_NoCredentials(String id, String secret) {
    return HOLDER.format("SecretValues.NoCredentials", id, secret);
  }

  static String SecretValues_OtherKind(String id, String secret) {
    return HOLDER.format("SecretValues.OtherKind", id, secret);
  }

  static String StepInBuild_NoCredentialsPlugin() {
    return HOLDER.format("StepInBuild.NoCredentialsPlugin");
  }

  static String StepInBuild_NoInstallation(String name) {
    return HOLDER.format("StepInBuild.NoInstallation", name);
  }

  static String StepInBuild_NothingToRun() {
    return HOLDER.format("StepInBuild.NothingToRun");
  }

  static String TargetCheck_NotThere(String path) {
    return HOLDER.format("TargetCheck.NotThere", path);
  }

  static String TargetCheck_OtherKind() {
    return HOLDER.format("TargetCheck.OtherKind");
  }

  static String TargetCheck_Outside() {
    return HOLDER.format("TargetCheck.Outside");
  }
}
