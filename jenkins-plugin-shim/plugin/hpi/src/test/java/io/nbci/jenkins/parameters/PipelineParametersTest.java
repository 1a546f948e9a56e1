package io.nbci.jenkins.parameters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.page.PageRecord.Parameter;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PipelineParametersTest {
  private static final Parameter NUMBER =
      new Parameter("C", "float", "string", "1.0", List.of(), "cost (float)", false);
  private static final Parameter SWITCH =
      new Parameter("full", "bool", "boolean", "false", List.of(), "", false);
  private static final Parameter CHOICE =
      new Parameter("solver", "str", "choice", "", List.of("", "lbfgs", "saga"), "", true);
  private static final Parameter TEXT =
      new Parameter("query", "str", "text", "a\nb", List.of(), "", false);
  private static final Parameter SEED =
      new Parameter("seed", "int", "string", "", List.of(), "", true);

  private final PipelineParameters parameters =
      new PipelineParameters(List.of(NUMBER, SWITCH, CHOICE, TEXT, SEED));
  private final PipelineParameters unknown = new PipelineParameters(List.of());

  @Test
  void valuesThatDifferAreHandedOver() {
    Map<String, String> given =
        Map.of("C", "0.5", "full", "true", "solver", "saga", "query", "c", "seed", "7");

    assertEquals(given, parameters.accept(given));
  }

  @Test
  void valuesOfThePipelineItselfAreNot() {
    assertEquals(
        Map.of(),
        parameters.accept(
            Map.of("C", "1.0", "full", "false", "solver", "", "query", "a\r\nb", "seed", "")));
  }

  @Test
  void anEmptyValueOfOneThatIsNotOptionalCounts() {
    assertEquals(Map.of("query", ""), parameters.accept(Map.of("query", "")));
  }

  @Test
  void linesEndAsOnUnix() {
    assertEquals(Map.of("query", "x\ny"), parameters.accept(Map.of("query", "x\r\ny")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"True", "TRUE", " true "})
  void booleansAsPeopleWriteThem(String value) {
    assertEquals(Map.of("full", "true"), parameters.accept(Map.of("full", value)));
  }

  @ParameterizedTest
  @CsvSource({"full, yes", "full, ''", "full, 1", "solver, newton", "solver, LBFGS"})
  void valuesThatAFormCannotSendAreRefused(String name, String value) {
    IllegalArgumentException refusal = refusal(parameters, Map.of(name, value));

    assertTrue(refusal.getMessage().contains(name), refusal::getMessage);
    assertTrue(refusal.getMessage().contains(value), refusal::getMessage);
  }

  @Test
  void namesThatThePipelineDoesNotHaveAreRefused() {
    IllegalArgumentException refusal = refusal(parameters, Map.of("D", "1"));

    assertTrue(refusal.getMessage().contains("C, full, solver, query, seed"));
  }

  @Test
  void anyNameBeforeTheFirstBuild() {
    assertFalse(unknown.areKnown());
    assertEquals(Map.of("D", "1"), unknown.accept(Map.of("D", "1")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "1a", "a b", "a-b", "a=b", "PATH+X", "ñ", "a\n", "a\0"})
  void namesThatAreNoNamesAreRefused(String name) {
    refusal(unknown, Map.of(name, "1"));
    refusal(parameters, Map.of(name, "1"));
  }

  @Test
  void longNamesAreRefusedInAShortSentence() {
    assertTrue(refusal(unknown, Map.of("a".repeat(5000), "1")).getMessage().length() < 500);
  }

  @Test
  void valuesAreBounded() {
    String most = "ñ".repeat(32 * 1024);

    assertEquals(Map.of("a", most), unknown.accept(Map.of("a", most)));
    refusal(unknown, Map.of("a", most + "x"));
    refusal(unknown, Map.of("a", most, "b", most, "c", most, "d", most, "e", "x"));
    refusal(unknown, Map.of("a", "nul\0"));
  }

  @Test
  void numberOfValuesIsBounded() {
    Map<String, String> many =
        IntStream.range(0, 201)
            .boxed()
            .collect(Collectors.toMap(number -> "p" + number, number -> "1"));

    refusal(unknown, many);
  }

  @Test
  void whatABuildToldIsNotTrusted() {
    List<Parameter> told =
        List.of(
            new Parameter("a b", "str", "string", "", List.of(), "", false),
            new Parameter("x\" onclick=", "str", "string", "", List.of(), "", false),
            NUMBER,
            new Parameter("C", "str", "string", "second", List.of(), "", false));

    List<ParameterField> fields = new PipelineParameters(told).fields();

    assertEquals(List.of("C"), fields.stream().map(ParameterField::getName).toList());
    assertEquals("1.0", fields.get(0).getDefaultValue());
  }

  @Test
  void fieldsAreInTheOrderOfThePipeline() {
    assertEquals(
        List.of("NBCI_PARAM_C", "NBCI_PARAM_full", "NBCI_PARAM_solver", "NBCI_PARAM_query",
            "NBCI_PARAM_seed"),
        parameters.fields().stream().map(ParameterField::getInputName).toList());
  }

  @Test
  void descriptionSaysTypeOnceAndWhatEmptyMeans() {
    assertEquals("cost (float)", new ParameterField(NUMBER).getDescription());
    assertEquals("", new ParameterField(SWITCH).getDescription());
    assertEquals("", new ParameterField(TEXT).getDescription());
    assertEquals(
        "(int) (" + Messages.ParameterField_optional() + ")",
        new ParameterField(SEED).getDescription());
    assertEquals(
        "(" + Messages.ParameterField_optional() + ")",
        new ParameterField(CHOICE).getDescription());
  }

  private static IllegalArgumentException refusal(
      PipelineParameters parameters, Map<String, String> given) {
    return assertThrows(IllegalArgumentException.class, () -> parameters.accept(given));
  }
}
