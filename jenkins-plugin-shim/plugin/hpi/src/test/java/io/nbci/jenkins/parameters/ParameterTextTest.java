package io.nbci.jenkins.parameters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParameterTextTest {
  @Test
  void lines() {
    assertEquals(
        Map.of("C", "0.5", "query", "a = b"), ParameterText.parse("C=0.5\n\n# no\nquery=a = b\n"));
  }

  @Test
  void nothing() {
    assertEquals(Map.of(), ParameterText.parse(" \n"));
  }

  @Test
  void objectOfJson() {
    String json =
        "{\"C\": 1.50, \"full\": true, \"query\": \"a\\nb\", \"none\": null,"
            + " \"list\": [1.0, \"x\"], \"map\": {\"a\": {}}}";

    assertEquals(
        Map.of(
            "C", "1.50",
            "full", "true",
            "query", "a\nb",
            "list", "[1.0,\"x\"]",
            "map", "{\"a\":{}}"),
        ParameterText.parse(json));
  }

  @ParameterizedTest
  @ValueSource(strings = {"{", "{\"C\": }", "{\"C\": 1} x", "C", "=1", "1C=2", "[1]"})
  void neitherOfThem(String text) {
    assertThrows(IllegalArgumentException.class, () -> ParameterText.parse(text));
  }

  @Test
  void deepAndLongTexts() {
    String deep = "{\"a\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}";

    assertThrows(IllegalArgumentException.class, () -> ParameterText.parse(deep));
    assertThrows(
        IllegalArgumentException.class, () -> ParameterText.parse("a=" + "x".repeat(300_000)));
  }

  @Test
  void formWithAFieldForEach() {
    Map<String, Object> submitted = new LinkedHashMap<>();
    submitted.put("name", "notebook");
    submitted.put("NBCI_PARAM_name", "a text");
    submitted.put("NBCI_PARAM_full", true);

    assertEquals(Map.of("name", "a text", "full", "true"), SubmittedValues.read(submitted));
  }

  @Test
  void formWithOneText() {
    assertEquals(
        Map.of("C", "2"), SubmittedValues.read(Map.of("name", "notebook", "value", "C=2")));
  }
}
