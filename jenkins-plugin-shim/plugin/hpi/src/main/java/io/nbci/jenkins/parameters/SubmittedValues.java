package io.nbci.jenkins.parameters;

import java.util.LinkedHashMap;
import java.util.Map;

/** What a form has sent for one parameter of a job. */
final class SubmittedValues {
  /** The name of the one field there is before the first build; scripts send it, too. */
  static final String TEXT = "value";

  private SubmittedValues() {}

  /**
   * The values by name. Jenkins' JSON has booleans for switches; all else is text, or was text that
   * looked like JSON.
   */
  static Map<String, String> read(Map<String, Object> submitted) {
    Map<String, String> values = new LinkedHashMap<>();
    Object text = submitted.get(TEXT);
    if (text != null) {
      values.putAll(ParameterText.parse(text.toString()));
    }
    submitted.forEach(
        (key, value) -> {
          if (key.startsWith(ParameterField.PREFIX)) {
            values.put(key.substring(ParameterField.PREFIX.length()), value.toString());
          }
        });
    return values;
  }
}
