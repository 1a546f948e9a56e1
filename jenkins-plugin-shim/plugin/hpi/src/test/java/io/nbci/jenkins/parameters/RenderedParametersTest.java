package io.nbci.jenkins.parameters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.JellyView;
import io.nbci.jenkins.page.PageRecord.Parameter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The form of a build, and the page of its parameters. */
class RenderedParametersTest {
  private static final String HOSTILE = "\"><script>alert(1)</script>";

  @Test
  void everyKindHasItsField() {
    String html =
        form(
            new Parameter("C", "float", "string", "1.0", List.of(), "cost", false),
            new Parameter("full", "bool", "boolean", "true", List.of(), "", false),
            new Parameter("solver", "str", "choice", "b", List.of("a", "b"), "", false),
            new Parameter("query", "str", "text", "select", List.of(), "", false));

    assertTrue(html.contains("<input name=\"NBCI_PARAM_C\" value=\"1.0\""), html);
    assertTrue(html.contains("cost (float)"), html);
    assertTrue(html.contains("<input name=\"NBCI_PARAM_full\" value=\"true\""), html);
    assertTrue(html.contains("name=\"NBCI_PARAM_solver\""), html);
    assertEquals(1, html.split("selected=\"selected\"", -1).length - 1, html);
    assertTrue(html.contains("<input name=\"NBCI_PARAM_query\" value=\"select\""), html);
    assertFalse(html.contains("beforeTheFirstBuild"), html);
  }

  @Test
  void beforeTheFirstBuildThereIsOneTextField() {
    String html = form();

    assertTrue(html.contains("<input name=\"value\""), html);
    assertFalse(html.contains("NBCI_PARAM_"), html);
  }

  @Test
  void whatABuildToldIsText() {
    String html =
        form(
            new Parameter("C", HOSTILE, "string", HOSTILE, List.of(), HOSTILE, true),
            new Parameter("solver", "str", "choice", HOSTILE, List.of(HOSTILE), HOSTILE, false),
            new Parameter(HOSTILE, "str", "string", "", List.of(), "", false));

    assertFalse(html.contains("<script"), html);
    assertTrue(html.contains("&lt;script"), html);
  }

  @Test
  void valuesOfABuildAreText() {
    String html = value(Map.of("C", HOSTILE));

    assertFalse(html.contains("<script"), html);
    assertTrue(html.contains("<td>C</td>"), html);
  }

  @Test
  void buildWithoutValuesSaysSo() {
    String html = value(Map.of());

    assertTrue(html.contains("The values of the pipeline itself"), html);
    assertFalse(html.contains("<table"), html);
  }

  private static String form(Parameter... parameters) {
    Form form = new Form(new PipelineParameters(List.of(parameters)).fields());
    return JellyView.render(
        NotebookParametersDefinition.class, form, "index.jelly", "en", Map.of());
  }

  private static String value(Map<String, String> values) {
    return JellyView.render(
        NotebookParametersValue.class, new Shown(values), "value.jelly", "en", Map.of());
  }

  /** What the form asks its definition for; Jenkins' own class answers on a controller only. */
  public record Form(List<ParameterField> fields) {
    public List<ParameterField> getFields() {
      return fields;
    }

    public String getName() {
      return "notebook";
    }

    public String getDescription() {
      return "";
    }
  }

  /** What the page asks a value for. */
  public record Shown(Map<String, String> values) {
    public Map<String, String> getValue() {
      return values;
    }

    public String getName() {
      return "notebook";
    }
  }
}
