package io.nbci.jenkins.parameters;

import hudson.EnvVars;
import hudson.model.ParameterValue;
import hudson.model.Run;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.kohsuke.stapler.export.Exported;

/**
 * The values of a build, as variables that nbci takes parameters from.
 *
 * <p>It is stored with the build, under these names of class and field. No value is secret: all of
 * them are shown on the build's page.
 */
public class NotebookParametersValue extends ParameterValue {
  private static final long serialVersionUID = 1L;
  private static final int LONGEST_SUMMARY = 200;

  private final LinkedHashMap<String, String> values;

  NotebookParametersValue(String name, Map<String, String> values) {
    super(name);
    this.values = new LinkedHashMap<>(values);
  }

  /** The values that differ from the pipeline's own; empty in a build of another version. */
  @Override
  @Exported
  public Map<String, String> getValue() {
    return values == null ? Map.of() : new LinkedHashMap<>(values);
  }

  @Override
  public void buildEnvironment(Run<?, ?> build, EnvVars environment) {
    // Jenkins puts values in for `$NAME` in the environment of a build: EnvVars.resolve of classic
    // ones, and of pipelines their steps. A path below `$HOME` would reach the notebook as another.
    getValue()
        .forEach(
            (name, value) ->
                environment.put(ParameterField.PREFIX + name, value.replace("$", "$$")));
  }

  /** A line for the queue. */
  @Override
  public String getShortDescription() {
    String text = name + ": " + summary();
    return text.length() <= LONGEST_SUMMARY ? text : text.substring(0, LONGEST_SUMMARY) + "…";
  }

  private String summary() {
    if (getValue().isEmpty()) {
      return Messages.NotebookParametersValue_defaults();
    }
    return getValue().entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue().replaceAll("\\s+", " "))
        .collect(Collectors.joining(", "));
  }

  /** With the values: Jenkins makes one of two builds in the queue that are the same. */
  @Override
  public boolean equals(Object other) {
    return other instanceof NotebookParametersValue value
        && Objects.equals(name, value.name)
        && getValue().equals(value.getValue());
  }

  @Override
  public int hashCode() {
    return Objects.hash(name, getValue());
  }

  @Override
  public String toString() {
    return "NotebookParametersValue[" + getShortDescription() + "]";
  }
}
