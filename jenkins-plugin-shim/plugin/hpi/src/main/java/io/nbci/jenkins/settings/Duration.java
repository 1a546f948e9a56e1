package io.nbci.jenkins.settings;

import hudson.util.FormValidation;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How long, as nbci reads it: {@code 90s}, {@code 30m}, {@code 1h30m}, {@code 2d}, or seconds. */
public final class Duration {
  private static final Pattern WHOLE = Pattern.compile("(?:\\d+(?:\\.\\d+)?[smhd])+");
  private static final Pattern PART = Pattern.compile("([\\d.]+)([smhd])");
  private static final Pattern SECONDS = Pattern.compile("\\d+(?:\\.\\d+)?");

  private Duration() {}

  /** What a form says of a field for a duration; one with variables is known in a build only. */
  public static FormValidation check(String text) {
    if (text.contains("$")) {
      return FormValidation.ok();
    }
    return FieldChecks.runTimeout(text).toFormValidation();
  }

  /** The seconds; none where the text is no duration, or one of nothing. */
  static OptionalDouble parse(String text) {
    String stripped = text.strip();
    double seconds = 0;
    if (WHOLE.matcher(stripped).matches()) {
      Matcher part = PART.matcher(stripped);
      while (part.find()) {
        seconds += Double.parseDouble(part.group(1)) * unit(part.group(2));
      }
    } else if (SECONDS.matcher(stripped).matches()) {
      seconds = Double.parseDouble(stripped);
    }
    boolean isSome = seconds > 0 && Double.isFinite(seconds);
    return isSome ? OptionalDouble.of(seconds) : OptionalDouble.empty();
  }

  private static int unit(String letter) {
    return switch (letter) {
      case "s" -> 1;
      case "m" -> 60;
      case "h" -> 3600;
      default -> 86400;
    };
  }
}
