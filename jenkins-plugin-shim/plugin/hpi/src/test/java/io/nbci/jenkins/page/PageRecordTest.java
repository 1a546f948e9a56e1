package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A page.json is read as nbci writes it, and whatever else it is, refused with a reason. */
class PageRecordTest {
  private static final Locale BEFORE = Locale.getDefault();

  @BeforeEach
  void speakEnglish() {
    Locale.setDefault(Locale.ENGLISH);
  }

  @AfterEach
  void speakAsBefore() {
    Locale.setDefault(BEFORE);
  }

  @Test
  void readsWhatNbciWrites() {
    PageRecord page = Samples.record(Samples.written());

    assertEquals("passed", page.result());
    assertEquals("pipelines/digits.yaml", page.target());
    assertEquals("by 0.04111", page.gates().get(0).margin());
    assertEquals(0.9911111111111112, page.metrics().get(0).number());
    assertEquals("6.0,68.0".split(",")[0], String.valueOf(page.graph().get().nodes().get(0).x()));
    assertEquals("173.6,92.0 217.6,92.0", page.graph().get().edges().get(0).points());
    assertEquals(List.of("C", "gamma", "test_size", "seed"), names(page.parameters()));
    assertTrue(page.release().isEmpty());
  }

  @Test
  void readsEveryField() {
    PageRecord page = Samples.record(Samples.full());

    assertEquals(new PageRecord.Ending(
        "failure", "churn: failed: step report failed: KeyError: 'segment'", false), page.ending());
    assertEquals("steps/report.html#cell-3", page.failures().get(0).link());
    assertEquals("The column is made by the step clean", page.failures().get(0).hint());
    assertNull(page.metrics().get(3).number());
    assertTrue(page.metrics().get(0).judged());
    assertEquals("production", page.models().get(0).stage());
    assertEquals("v1.3.1", page.release().get().version());
    assertEquals(List.of("lbfgs", "saga"), page.parameters().get(1).choices());
    assertTrue(page.parameters().get(1).optional());
    assertEquals(1, page.leftOut().size());
  }

  @Test
  void aPageWithItsFormatOnlyIsEmpty() {
    PageRecord page = Samples.record(utf8("{\"format\": 1, \"future\": {\"a\": [1, null]}}"));

    assertEquals("", page.headline());
    assertEquals("plain", page.badge().kind());
    assertTrue(page.gates().isEmpty() && page.graph().isEmpty());
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
      "`` | ends too early",
      "{\"format\": 1 | ends too early",
      "[] | not a JSON object",
      "null | not a JSON object",
      "{} | does not say its format",
      "{\"format\": 0} | does not say its format",
      "{\"format\": 1.5} | does not say its format",
      "{\"format\": \"1\"} | format is of a wrong type",
      "{\"format\": 2, \"gates\": 7} | of format 2, and this plugin reads format 1",
      "{\"format\": 99999999} | of format 99999999",
      "{\"format\": 1} {} | not JSON",
      "{format: 1} | not JSON",
      "<html> | not JSON",
      "{\"format\": NaN} | not JSON",
      "{\"format\": 1, \"gates\": {}} | gates is of a wrong type",
      "{\"format\": 1, \"gates\": [[]]} | gates[0] is of a wrong type",
      "{\"format\": 1, \"gates\": [{\"margin\": 1}]} | gates[0].margin is of a wrong type",
      "{\"format\": 1, \"ending\": \"x\"} | ending is of a wrong type",
      "{\"format\": 1, \"ending\": {\"infrastructure\": 1}} | ending.infrastructure is",
      "{\"format\": 1, \"warnings\": [null]} | warnings[0] is of a wrong type",
      "{\"format\": 1, \"metrics\": [{\"number\": 1e999}]} | metrics[0].number is",
      "{\"format\": 1, \"graph\": {\"width\": 1e7}} | graph.width is of a wrong type or size",
      "{\"format\": 1, \"graph\": {\"edges\": [{\"points\": [[1]]}]}} | edges[0].points[0] is",
  })
  void whatIsNoPageIsRefusedWithItsPlace(String json, String reason) {
    UnreadablePage refused =
        assertThrows(UnreadablePage.class, () -> PageRecord.read(utf8(json == null ? "" : json)));

    assertTrue(refused.getMessage().contains(reason), refused.getMessage());
  }

  /** Every value of a page, replaced by every other kind of value, in turn. */
  @Test
  void anyWrongTypeIsRefusedOrRead() {
    List<JsonElement> others = List.of(
        new JsonPrimitive("x"), new JsonPrimitive(1), new JsonPrimitive(true), new JsonArray(),
        new JsonObject());
    JsonObject page = Samples.tree(Samples.full());
    List<Runnable> undo = new ArrayList<>();
    int refused = 0;

    for (JsonObject object : objectsOf(page)) {
      for (String field : List.copyOf(object.keySet())) {
        JsonElement value = object.get(field);
        undo.add(() -> object.add(field, value));
        for (JsonElement other : others) {
          object.add(field, other);
          refused += isRefused(page) ? 1 : 0;
        }
        undo.forEach(Runnable::run);
        undo.clear();
      }
    }

    assertTrue(refused > 500, "refused only " + refused);
    assertFalse(isRefused(page));
  }

  @Test
  void deepNestingIsRefusedAtOnce() {
    String deep = "{\"format\": 1, \"x\": " + "[".repeat(400_000) + "]".repeat(400_000) + "}";

    assertTrue(reasonOf(deep).contains("nested more than 16 deep"));
  }

  @Test
  void aMillionEntriesAreRefusedAtOnce() {
    String many = "{\"format\": 1, \"x\": [0" + ",0".repeat(1_000_000) + "]}";

    assertTrue(reasonOf(many).contains("more than 100,000 values"));
  }

  @Test
  void longTextsListsAndNumbersAreRefused() {
    String text = "{\"format\": 1, \"headline\": \"" + "x".repeat(20_001) + "\"}";
    String list = "{\"format\": 1, \"warnings\": [\"\"" + ",\"\"".repeat(2_000) + "]}";
    String number = "{\"format\": " + "1".repeat(300) + "}";

    assertTrue(reasonOf(text).contains("headline has more than 20,000 characters"));
    assertTrue(reasonOf(list).contains("warnings has more than 2,000 entries"));
    assertTrue(reasonOf(number).contains("a number in it has more than 60 characters"));
  }

  @Test
  void otherEncodingsAreRefused() {
    byte[] latin = "{\"format\": 1, \"headline\": \"ñ\"}".getBytes(StandardCharsets.ISO_8859_1);

    assertEquals(
        "it is not UTF-8",
        assertThrows(UnreadablePage.class, () -> PageRecord.read(latin)).getMessage());
  }

  @Test
  void reasonsAreInTheReadersLanguage() {
    Locale.setDefault(new Locale("es"));

    assertEquals("no es un objeto JSON", reasonOf("[]"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"javascript:alert(1)", "//evil.example/", "../../../x", "http:x"})
  void linksThatLeadElsewhereAreNotTaken(String link) {
    JsonObject json = Samples.tree(Samples.full());
    JsonObject page = Samples.withTexts(json, link).getAsJsonObject();

    PageRecord read = Samples.record(Samples.bytes(page));

    assertEquals("", read.steps().get(0).link());
    assertEquals("", read.failures().get(0).link());
    assertEquals("", read.graph().get().nodes().get(0).link());
    assertEquals("", read.report());
    assertEquals(link, read.steps().get(0).name());
  }

  private static List<JsonObject> objectsOf(JsonElement json) {
    List<JsonObject> found = new ArrayList<>();
    if (json.isJsonObject()) {
      found.add(json.getAsJsonObject());
      json.getAsJsonObject().entrySet().forEach(f -> found.addAll(objectsOf(f.getValue())));
    } else if (json.isJsonArray()) {
      json.getAsJsonArray().forEach(item -> found.addAll(objectsOf(item)));
    }
    return found;
  }

  private static boolean isRefused(JsonObject page) {
    try {
      PageRecord.read(Samples.bytes(page));
      return false;
    } catch (UnreadablePage e) {
      return true;
    }
  }

  private static String reasonOf(String json) {
    return assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> assertThrows(UnreadablePage.class, () -> PageRecord.read(utf8(json))).getMessage());
  }

  private static List<String> names(List<PageRecord.Parameter> parameters) {
    return parameters.stream().map(PageRecord.Parameter::name).toList();
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
