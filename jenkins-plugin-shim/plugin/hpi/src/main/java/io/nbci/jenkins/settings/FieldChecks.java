package io.nbci.jenkins.settings;

import java.util.regex.Pattern;

/** What may stand in the fields: the same rules for forms, files of JCasC, and folders. */
final class FieldChecks {
  private static final int LONGEST_TEXT = 4096;
  private static final Pattern CONTROL = Pattern.compile("\\p{Cntrl}");

  /** `~/venv` and `venv/bin/nbci`; not `/venv`, `C:\venv`, `$HOME/venv`, or a single word. */
  private static final Pattern RELATIVE = Pattern.compile("(?![/\\\\$]|[A-Za-z]:).*[/\\\\].*");

  private static final Pattern ARGUMENTS = Pattern.compile("\\S+\\s+-.*");

  /** A password, or a token without a user, before the host of a URL. */
  private static final Pattern PASSWORD =
      Pattern.compile("[A-Za-z][\\w+.-]*://[^/@\\s]*:[^/@\\s]+@.*");

  private FieldChecks() {}

  static FieldCheck home(String text) {
    return program(text);
  }

  static FieldCheck command(String text) {
    if (ARGUMENTS.matcher(text.strip()).matches()) {
      return FieldCheck.error(Messages.FieldChecks_arguments());
    }
    return program(text);
  }

  static FieldCheck storeRemote(String text) {
    FieldCheck plain = plainText(text);
    if (plain.severity() == FieldCheck.Severity.ERROR) {
      return plain;
    }
    // a password here would be shown to all who may see the settings, and to every build
    if (PASSWORD.matcher(text.strip()).matches()) {
      return FieldCheck.error(Messages.FieldChecks_password());
    }
    return FieldCheck.FINE;
  }

  static FieldCheck runTimeout(String text) {
    if (text.isBlank() || Duration.parse(text).isPresent()) {
      return FieldCheck.FINE;
    }
    return FieldCheck.error(Messages.FieldChecks_noDuration(text));
  }

  static FieldCheck number(String text, Bounds bounds) {
    if (text.isBlank()) {
      return FieldCheck.FINE;
    }
    try {
      int value = Integer.parseInt(text.strip());
      return bounds.within(value) == value ? FieldCheck.FINE : outside(bounds);
    } catch (NumberFormatException e) {
      return outside(bounds);
    }
  }

  private static FieldCheck outside(Bounds bounds) {
    return FieldCheck.error(
        Messages.FieldChecks_outside(
            Integer.toString(bounds.least()), Integer.toString(bounds.most())));
  }

  private static FieldCheck program(String text) {
    FieldCheck plain = plainText(text);
    if (plain.severity() == FieldCheck.Severity.ERROR) {
      return plain;
    }
    // no shell reads it, so nobody would put a home folder in the place of `~`
    if (RELATIVE.matcher(text.strip()).matches()) {
      return FieldCheck.warning(Messages.FieldChecks_relative());
    }
    return FieldCheck.FINE;
  }

  private static FieldCheck plainText(String text) {
    if (text.length() > LONGEST_TEXT) {
      return FieldCheck.error(Messages.FieldChecks_tooLong(Integer.toString(LONGEST_TEXT)));
    }
    if (CONTROL.matcher(text.strip()).find()) {
      return FieldCheck.error(Messages.FieldChecks_control());
    }
    return FieldCheck.FINE;
  }
}
