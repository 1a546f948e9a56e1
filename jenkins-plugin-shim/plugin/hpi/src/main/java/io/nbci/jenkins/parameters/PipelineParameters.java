package io.nbci.jenkins.parameters;

import io.nbci.jenkins.page.PageRecord.Parameter;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a pipeline asks for, as a build has told; nothing before the first build.
 *
 * <p>What was told comes from whoever can change the project, so names are checked here as well as
 * those that a person gives. Types are checked by nbci when it runs, but for those that a form
 * shows as a choice.
 */
final class PipelineParameters {
  static final int MOST_BYTES = 256 * 1024;

  /** Linux takes no variable of more than 128 KiB. */
  private static final int MOST_BYTES_OF_A_VALUE = 64 * 1024;

  private static final int MOST_VALUES = 200;
  private static final Pattern NAME = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");

  private final Map<String, Parameter> declared = new LinkedHashMap<>();

  PipelineParameters(List<Parameter> told) {
    for (Parameter parameter : told) {
      if (NAME.matcher(parameter.name()).matches() && declared.size() < MOST_VALUES) {
        declared.putIfAbsent(parameter.name(), parameter);
      }
    }
  }

  /** Whether a build has told which there are. */
  boolean areKnown() {
    return !declared.isEmpty();
  }

  /** The fields of a form, in the order of the pipeline. */
  List<ParameterField> fields() {
    return declared.values().stream().map(ParameterField::new).toList();
  }

  /**
   * The values that nbci is to be told: those that say something else than the pipeline does.
   *
   * @throws IllegalArgumentException with a sentence, for a value that cannot be taken
   */
  Map<String, String> accept(Map<String, String> given) {
    Map<String, String> accepted = new LinkedHashMap<>();
    for (Map.Entry<String, String> entry : given.entrySet()) {
      String name = checkName(entry.getKey());
      // browsers end the lines of a text field in their own way
      String value = entry.getValue().replace("\r\n", "\n");
      Parameter parameter = declared.get(name);
      if (parameter == null) {
        accepted.put(name, value);
      } else if (!isDefault(parameter, value)) {
        accepted.put(name, checkValue(parameter, value));
      }
    }
    checkSizes(accepted);
    return accepted;
  }

  private String checkName(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(Messages.PipelineParameters_noName(start(name)));
    }
    if (areKnown() && !declared.containsKey(name)) {
      String names = String.join(", ", declared.keySet());
      throw new IllegalArgumentException(
          Messages.PipelineParameters_unknown(name, start(names)));
    }
    return name;
  }

  private static boolean isDefault(Parameter parameter, String value) {
    boolean isLeftEmpty = parameter.optional() && value.isEmpty();
    return isLeftEmpty || value.equals(parameter.defaultValue().replace("\r\n", "\n"));
  }

  private static String checkValue(Parameter parameter, String value) {
    return switch (parameter.kind()) {
      case ParameterField.BOOLEAN -> checkBoolean(parameter, value);
      case ParameterField.CHOICE -> checkChoice(parameter, value);
      default -> value;
    };
  }

  private static String checkBoolean(Parameter parameter, String value) {
    String lower = value.strip().toLowerCase(Locale.ROOT);
    if (!lower.equals("true") && !lower.equals("false")) {
      throw new IllegalArgumentException(
          Messages.PipelineParameters_noBoolean(parameter.name(), start(value)));
    }
    return lower;
  }

  private static String checkChoice(Parameter parameter, String value) {
    if (!parameter.choices().contains(value)) {
      String choices = parameter.choices().stream().collect(Collectors.joining(", "));
      throw new IllegalArgumentException(
          Messages.PipelineParameters_noChoice(parameter.name(), start(value), start(choices)));
    }
    return value;
  }

  private static void checkSizes(Map<String, String> values) {
    int total = 0;
    for (Map.Entry<String, String> entry : values.entrySet()) {
      String value = entry.getValue();
      int bytes = value.getBytes(StandardCharsets.UTF_8).length;
      if (bytes > MOST_BYTES_OF_A_VALUE) {
        throw new IllegalArgumentException(
            Messages.PipelineParameters_tooLong(
                entry.getKey(), Integer.toString(MOST_BYTES_OF_A_VALUE)));
      }
      // no environment can hold one
      if (value.indexOf('\0') >= 0) {
        throw new IllegalArgumentException(Messages.PipelineParameters_nul(entry.getKey()));
      }
      total += bytes;
    }
    if (total > MOST_BYTES || values.size() > MOST_VALUES) {
      throw new IllegalArgumentException(Messages.PipelineParameters_tooMuch());
    }
  }

  /** As much of a text as a sentence can hold. */
  private static String start(String text) {
    return text.length() <= 200 ? text : text.substring(0, 200) + "…";
  }
}
