package io.nbci.jenkins.step;

import hudson.util.FormValidation;
import java.util.regex.Pattern;

/** Lengths of time as nbci takes them: {@code 90}, {@code 20m}, {@code 1h30m}. */
final class TimeText {
  private static final Pattern LENGTH = 
      Pattern.compile("(\\d+(\\.\\d+)?[smhd])+|\\d+(\\.\\d+)?");

  private TimeText() {}

  static boolean isLength(String text) {
    return LENGTH.matcher(text).matches();
  }

  static FormValidation check(String value) {
    String text = value.strip();
    if (text.isEmpty() || text.contains("$") || isLength(text)) {
      return FormValidation.ok();
    }
    return FormValidation.error(Messages.TimeText_NoLength());
  }
}
