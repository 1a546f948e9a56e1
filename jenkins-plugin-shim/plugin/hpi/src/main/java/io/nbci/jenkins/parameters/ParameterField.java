package io.nbci.jenkins.parameters;

import io.nbci.jenkins.page.PageRecord.Parameter;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A parameter as the view of the form shows it; the view calls the getters. */
public final class ParameterField {
  static final String BOOLEAN = "boolean";
  static final String CHOICE = "choice";

  /** What names begin with in a form and in a build's environment, where nbci looks for them. */
  static final String PREFIX = "NBCI_PARAM_";

  /** Types of which any text is a value. */
  private static final Set<String> ANYTHING = Set.of("str", "any");

  private final Parameter parameter;

  ParameterField(Parameter parameter) {
    this.parameter = parameter;
  }

  public String getName() {
    return parameter.name();
  }

  /** With the prefix, so that no parameter takes the place of what the form itself submits. */
  public String getInputName() {
    return PREFIX + parameter.name();
  }

  public String getKind() {
    return parameter.kind();
  }

  public String getDefaultValue() {
    return parameter.defaultValue();
  }

  public boolean isOn() {
    return parameter.defaultValue().equals("true");
  }

  public List<String> getChoices() {
    return parameter.choices();
  }

  /** What the pipeline says of it, its type, and what an empty field means. */
  public String getDescription() {
    List<String> parts = new ArrayList<>();
    if (!parameter.help().isBlank()) {
      parts.add(parameter.help().strip());
    }
    if (isTypeWorthSaying()) {
      parts.add("(" + parameter.type() + ")");
    }
    if (parameter.optional()) {
      parts.add("(" + Messages.ParameterField_optional() + ")");
    }
    return String.join(" ", parts);
  }

  private boolean isTypeWorthSaying() {
    // a switch and a list of choices show what can be said
    boolean isShown = parameter.kind().equals(BOOLEAN) || parameter.kind().equals(CHOICE);
    boolean takesAll = parameter.type().isBlank() || ANYTHING.contains(parameter.type());
    return !isShown && !takesAll && !parameter.help().contains("(" + parameter.type() + ")");
  }
}
