package io.nbci.jenkins.parameters;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.util.LinkedHashMap;
import java.util.Map;

/** Values of several parameters in one text: lines {@code NAME=VALUE}, or an object of JSON. */
final class ParameterText {
  private ParameterText() {}

  /**
   * The values by name, in their order. A null of JSON is no value; a list or an object stays JSON.
   *
   * @throws IllegalArgumentException with a sentence, where it is neither
   */
  static Map<String, String> parse(String text) {
    if (text.length() > PipelineParameters.MOST_BYTES) {
      throw new IllegalArgumentException(Messages.PipelineParameters_tooMuch());
    }
    return text.strip().startsWith("{") ? parseJson(text) : ParameterLines.parse(text);
  }

  private static Map<String, String> parseJson(String text) {
    try {
      Map<String, String> found = new LinkedHashMap<>();
      JsonObject object = JsonParser.parseString(text).getAsJsonObject();
      for (Map.Entry<String, JsonElement> entry : object.entrySet()) {
        JsonElement value = entry.getValue();
        if (value.isJsonPrimitive()) {
          found.put(entry.getKey(), value.getAsString());
        } else if (!value.isJsonNull()) {
          found.put(entry.getKey(), value.toString());
        }
      }
      return found;
    } catch (JsonParseException | StackOverflowError e) {
      // a text of brackets alone is as deep as it is long
      throw new IllegalArgumentException(Messages.ParameterText_noJson(), e);
    }
  }
}
