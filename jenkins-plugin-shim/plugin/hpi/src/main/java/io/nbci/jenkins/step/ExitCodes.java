package io.nbci.jenkins.step;

/** What exit codes mean: nbci's, as in schemas/exit-codes.json, and those of the system. */
final class ExitCodes {
  private ExitCodes() {}

  /** A sentence for a process that ended without a word about the build. */
  static String sentence(int exitCode) {
    return Messages.ExitCodes_Sentence(exitCode, meaning(exitCode));
  }

  private static String meaning(int exitCode) {
    return switch (exitCode) {
      case 0 -> Messages.ExitCodes_WroteNothing();
      case 1 -> Messages.ExitCodes_StepFailed();
      case 2 -> Messages.ExitCodes_WrongUsage();
      case 3 -> Messages.ExitCodes_GateRefused();
      case 4 -> Messages.ExitCodes_Infrastructure();
      case 5 -> Messages.ExitCodes_Integrity();
      case 70 -> Messages.ExitCodes_Bug();
      case 126, 127 -> Messages.ExitCodes_CannotRun();
      case 130, 143 -> Messages.ExitCodes_Interrupted();
      default -> Messages.ExitCodes_Killed();
    };
  }
}
