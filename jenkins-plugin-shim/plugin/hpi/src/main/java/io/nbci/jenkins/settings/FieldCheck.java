package io.nbci.jenkins.settings;

import hudson.util.FormValidation;

/** What is wrong with the text of a field; the message is empty where nothing is. */
record FieldCheck(Severity severity, String message) {
  /** How much it matters. */
  enum Severity {
    FINE,
    WARNING,
    ERROR
  }

  static final FieldCheck FINE = new FieldCheck(Severity.FINE, "");

  static FieldCheck warning(String message) {
    return new FieldCheck(Severity.WARNING, message);
  }

  static FieldCheck error(String message) {
    return new FieldCheck(Severity.ERROR, message);
  }

  /** For configuration that comes from no form: an error stops it, with its sentence. */
  void refuseErrors() {
    if (severity == Severity.ERROR) {
      throw new IllegalArgumentException(message);
    }
  }

  FormValidation toFormValidation() {
    return switch (severity) {
      case FINE -> FormValidation.ok();
      case WARNING -> FormValidation.warning(message);
      case ERROR -> FormValidation.error(message);
    };
  }
}
