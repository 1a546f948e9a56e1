package io.nbci.jenkins.settings;

import hudson.util.FormValidation;

/**
 * Why an agent could not be asked, or gave no answer.
 *
 * <p>It holds no sentence: the question is answered in a thread that does not know the language of
 * the person who asked.
 *
 * @param detail what the agent itself said, if anything
 */
public record AgentProblem(Kind kind, String agent, String command, String detail)
    implements AgentAnswer {
  /** The kinds of problems that need different words. */
  enum Kind {
    OFFLINE,
    NO_NBCI,
    NOT_EXECUTABLE,
    NO_PYTHON,
    OLD_NBCI,
    FAILED,
    NO_ANSWER_IN_TIME,
    NOT_UNDERSTOOD,
    UNREACHABLE,
    TOO_MANY_QUESTIONS
  }

  @Override
  public FormValidation toFormValidation() {
    return FormValidation.error(sentence());
  }

  /** What is wrong and what to do about it. */
  public String sentence() {
    String on = agent.isEmpty() ? Messages.AgentProblem_builtIn() : agent;
    return switch (kind) {
      case OFFLINE -> Messages.AgentProblem_offline(on);
      case NO_NBCI -> Messages.AgentProblem_noNbci(command, on);
      case NOT_EXECUTABLE -> Messages.AgentProblem_notExecutable(command, on);
      case NO_PYTHON -> Messages.AgentProblem_noPython(command, on);
      case OLD_NBCI -> Messages.AgentProblem_oldNbci(command, on);
      case FAILED -> Messages.AgentProblem_failed(command, on, detail);
      case NO_ANSWER_IN_TIME -> Messages.AgentProblem_noAnswerInTime(on);
      case NOT_UNDERSTOOD -> Messages.AgentProblem_notUnderstood(command, on);
      case UNREACHABLE -> Messages.AgentProblem_unreachable(on, detail);
      case TOO_MANY_QUESTIONS -> Messages.AgentProblem_tooManyQuestions();
    };
  }
}
