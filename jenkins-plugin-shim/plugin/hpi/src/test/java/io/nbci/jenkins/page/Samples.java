package io.nbci.jenkins.page;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Pages that tests read and show. */
final class Samples {
  /** What nbci itself wrote, of its digits sample. */
  private static final Path WRITTEN = Path.of("../../../tests/assets/page-1.json");

  private static final Path FOLDER = Path.of("src/test/resources/io/nbci/jenkins/page");

  private Samples() {}

  static byte[] written() {
    return bytes(WRITTEN);
  }

  /** A page that has something of everything: a refused run with a failure. */
  static byte[] full() {
    return bytes(FOLDER.resolve("full.json"));
  }

  static JsonObject tree(byte[] json) {
    return JsonParser.parseString(new String(json, StandardCharsets.UTF_8)).getAsJsonObject();
  }

  static byte[] bytes(JsonElement json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  static PageRecord record(byte[] json) {
    try {
      return PageRecord.read(json);
    } catch (UnreadablePage e) {
      throw new AssertionError(e);
    }
  }

  /** The same page with this text in the place of every text that is not empty. */
  static JsonElement withTexts(JsonElement json, String text) {
    if (json.isJsonObject()) {
      JsonObject changed = new JsonObject();
      json.getAsJsonObject()
          .entrySet()
          .forEach(field -> changed.add(field.getKey(), withTexts(field.getValue(), text)));
      return changed;
    }
    if (json.isJsonArray()) {
      JsonArray changed = new JsonArray();
      json.getAsJsonArray().forEach(item -> changed.add(withTexts(item, text)));
      return changed;
    }
    if (json.isJsonPrimitive() && json.getAsJsonPrimitive().isString()) {
      return new JsonPrimitive(json.getAsString().isEmpty() ? "" : text);
    }
    return json;
  }

  private static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
