package io.nbci.jenkins.settings;

import hudson.util.FormValidation;

/** What an agent has, or why it could not be told. */
public sealed interface AgentAnswer permits AgentFacts, AgentProblem {
  /** One line for a form, in the language of whoever asks for it. */
  FormValidation toFormValidation();
}
