package io.nbci.jenkins.parameters;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/** Parameters as they are typed into a text field: a line {@code NAME=VALUE} each. */
public final class ParameterLines {
  private static final Pattern NAME = Pattern.compile("[A-Za-z_][A-Za-z0-9_]*");

  private ParameterLines() {}

  /** Whether it can name a parameter, and the environment variable that carries one. */
  public static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }

  /**
   * Reads the lines, in their order; empty ones and those that begin with {@code #} count for
   * nothing. A name that is there twice has its last value.
   *
   * @throws IllegalArgumentException a line is no parameter; the message says which
   */
  public static Map<String, String> parse(String text) {
    Map<String, String> found = new LinkedHashMap<>();
    int number = 0;
    for (String line : text.split("\\R")) {
      number++;
      String stripped = line.strip();
      if (stripped.isEmpty() || stripped.startsWith("#")) {
        continue;
      }
      int equals = stripped.indexOf('=');
      String name = stripped.substring(0, Math.max(equals, 0)).strip();
      if (!isName(name)) {
        throw new IllegalArgumentException(Messages.ParameterLines_noParameter(number, stripped));
      }
      found.put(name, stripped.substring(equals + 1).strip());
    }
    return found;
  }
}
