package io.nbci.jenkins.page;

import com.google.gson.stream.JsonReader;
import com.google.gson.stream.MalformedJsonException;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as maps, lists, texts, numbers and truth values, with a bound on how much of them there is.
 *
 * <p>A file of a megabyte can hold half a million values, or be nested as deep; gson takes both.
 */
final class JsonTree {
  static final int DEEPEST = 16;
  static final int MOST_VALUES = 100_000;
  /** Long digits are slow to read; a double has 17 of them, a sign, a point and an exponent. */
  private static final int LONGEST_NUMBER = 60;

  private final JsonReader reader;
  private int values;

  private JsonTree(JsonReader reader) {
    this.reader = reader;
  }

  /** Reads one value, of which the bytes are all; null stands for JSON's null. */
  static Object read(byte[] json) throws UnreadablePage {
    var bytes = new ByteArrayInputStream(json);
    var decoder = StandardCharsets.UTF_8.newDecoder();
    try (JsonReader reader = new JsonReader(new InputStreamReader(bytes, decoder))) {
      JsonTree tree = new JsonTree(reader);
      Object value = tree.value(0);
      // Throws where something stands behind the value.
      reader.peek();
      return value;
    } catch (CharacterCodingException e) {
      throw new UnreadablePage(Messages.Unreadable_Encoding());
    } catch (EOFException e) {
      throw new UnreadablePage(Messages.Unreadable_Incomplete());
    } catch (MalformedJsonException e) {
      throw new UnreadablePage(Messages.Unreadable_NotJson());
    } catch (IOException | IllegalStateException e) {
      throw new UnreadablePage(Messages.Unreadable_NotJson());
    }
  }

  private Object value(int depth) throws IOException, UnreadablePage {
    if (depth > DEEPEST) {
      throw new UnreadablePage(Messages.Unreadable_TooDeep(DEEPEST));
    }
    if (++values > MOST_VALUES) {
      throw new UnreadablePage(Messages.Unreadable_TooMany(MOST_VALUES));
    }
    return switch (reader.peek()) {
      case BEGIN_OBJECT -> object(depth);
      case BEGIN_ARRAY -> list(depth);
      case STRING -> reader.nextString();
      case NUMBER -> number();
      case BOOLEAN -> reader.nextBoolean();
      case NULL -> {
        reader.nextNull();
        yield null;
      }
      default -> throw new UnreadablePage(Messages.Unreadable_NotJson());
    };
  }

  private Map<String, Object> object(int depth) throws IOException, UnreadablePage {
    Map<String, Object> found = new LinkedHashMap<>();
    reader.beginObject();
    while (reader.hasNext()) {
      String name = reader.nextName();
      Object value = value(depth + 1);
      found.put(name, value);
    }
    reader.endObject();
    return found;
  }

  private List<Object> list(int depth) throws IOException, UnreadablePage {
    List<Object> found = new ArrayList<>();
    reader.beginArray();
    while (reader.hasNext()) {
      found.add(value(depth + 1));
    }
    reader.endArray();
    return found;
  }

  private Double number() throws IOException, UnreadablePage {
    String digits = reader.nextString();
    if (digits.length() > LONGEST_NUMBER) {
      throw new UnreadablePage(Messages.Unreadable_LongNumber(LONGEST_NUMBER));
    }
    return Double.valueOf(digits);
  }
}
