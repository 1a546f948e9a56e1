package io.nbci.jenkins.parameters;

import org.jvnet.localizer.ResourceBundleHolder;

/** The texts of this package, in the language of whoever asks. */
final class Messages {
  private static final ResourceBundleHolder HOLDER = ResourceBundleHolder.get(Messages.class);

  private Messages() {}

  static String NotebookParametersDefinition_displayName() {
    return HOLDER.format("NotebookParametersDefinition.displayName");
  }

  static String NotebookParametersDefinition_noName() {
    return HOLDER.format("NotebookParametersDefinition.noName");
  }

  static String NotebookParametersValue_defaults() {
    return HOLDER.format("NotebookParametersValue.defaults");
  }

  static String ParameterField_optional() {
    return HOLDER.format("ParameterField.optional");
  }

  static String ParameterLines_noParameter(int line, String text) {
    return HOLDER.format("ParameterLines.noParameter", Integer.toString(line), text);
  }

  static String ParameterText_noJson() {
    return HOLDER.format("ParameterText.noJson");
  }

  static String PipelineParameters_noBoolean(Object name, Object value) {
    return HOLDER.format("PipelineParameters.noBoolean", name, value);
  }

  static String PipelineParameters_noChoice(Object name, Object value, Object choices) {
    return HOLDER.format("PipelineParameters.noChoice", name, value, choices);
  }

  static String PipelineParameters_noName(Object text) {
    return HOLDER.format("PipelineParameters.noName", text);
  }

  static String PipelineParameters_nul(Object name) {
    return HOLDER.format("PipelineParameters.nul", name);
  }

  static String PipelineParameters_tooLong(Object name, Object most) {
    return HOLDER.format("PipelineParameters.tooLong", name, most);
  }

  static String PipelineParameters_tooMuch() {
    return HOLDER.format("PipelineParameters.tooMuch");
  }

  static String PipelineParameters_unknown(Object name, Object names) {
    return HOLDER.format("PipelineParameters.unknown", name, names);
  }
}
