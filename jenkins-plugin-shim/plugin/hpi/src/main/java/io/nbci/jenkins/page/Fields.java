package io.nbci.jenkins.page;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The fields of a JSON object, read as what they must be.
 *
 * <p>A field that is missing or null is empty: another version of nbci wrote the file. One that is
 * there with another type is an error that names its place.
 */
final class Fields {
  private static final int LONGEST_TEXT = 20_000;
  private static final int LONGEST_LIST = 2_000;
  /** Far more than any page, and few enough digits for a browser. */
  private static final double LARGEST_PLACE = 1e6;

  private final Map<?, ?> values;
  private final String place;

  private Fields(Map<?, ?> values, String place) {
    this.values = values;
    this.place = place;
  }

  /** Makes a value of an object. */
  interface Decoder<T> {
    T decode(Fields fields) throws UnreadablePage;
  }

  /** Reads the object that the whole file is. */
  static Fields of(Object value) throws UnreadablePage {
    if (value instanceof Map<?, ?> values) {
      return new Fields(values, "");
    }
    throw new UnreadablePage(Messages.Unreadable_NotObject());
  }

  String text(String name) throws UnreadablePage {
    return text(values.get(name), place + name);
  }

  String link(String name) throws UnreadablePage {
    return RelativeLink.checked(text(name));
  }

  boolean flag(String name) throws UnreadablePage {
    Object value = values.get(name);
    if (value == null) {
      return false;
    }
    if (value instanceof Boolean flag) {
      return flag;
    }
    throw wrongType(place + name);
  }

  /** Reads a number, or null where there is none. */
  Double number(String name) throws UnreadablePage {
    return number(values.get(name), place + name);
  }

  /** Reads a place or a size of a picture; 0 where there is none. */
  double pixels(String name) throws UnreadablePage {
    return pixels(values.get(name), place + name);
  }

  Optional<Fields> object(String name) throws UnreadablePage {
    Object value = values.get(name);
    if (value == null) {
      return Optional.empty();
    }
    if (value instanceof Map<?, ?> found) {
      return Optional.of(new Fields(found, place + name + "."));
    }
    throw wrongType(place + name);
  }

  <T> List<T> list(String name, Decoder<T> decoder) throws UnreadablePage {
    List<T> found = new ArrayList<>();
    for (Object value : values(name)) {
      String item = place + name + "[" + found.size() + "]";
      if (!(value instanceof Map<?, ?> fields)) {
        throw wrongType(item);
      }
      found.add(decoder.decode(new Fields(fields, item + ".")));
    }
    return List.copyOf(found);
  }

  List<String> texts(String name) throws UnreadablePage {
    List<String> found = new ArrayList<>();
    for (Object value : values(name)) {
      String item = place + name + "[" + found.size() + "]";
      if (value == null) {
        throw wrongType(item);
      }
      found.add(text(value, item));
    }
    return List.copyOf(found);
  }

  /** Reads a list of pairs of numbers as SVG has them: `x,y x,y`. */
  String points(String name) throws UnreadablePage {
    List<String> found = new ArrayList<>();
    for (Object value : values(name)) {
      String item = place + name + "[" + found.size() + "]";
      if (!(value instanceof List<?> pair) || pair.size() != 2) {
        throw wrongType(item);
      }
      found.add(pixels(pair.get(0), item) + "," + pixels(pair.get(1), item));
    }
    return String.join(" ", found);
  }

  private List<?> values(String name) throws UnreadablePage {
    Object value = values.get(name);
    if (value == null) {
      return List.of();
    }
    if (!(value instanceof List<?> found)) {
      throw wrongType(place + name);
    }
    if (found.size() > LONGEST_LIST) {
      throw new UnreadablePage(Messages.Unreadable_LongList(place + name, LONGEST_LIST));
    }
    return found;
  }

  private static String text(Object value, String place) throws UnreadablePage {
    if (value == null) {
      return "";
    }
    if (!(value instanceof String text)) {
      throw wrongType(place);
    }
    if (text.length() > LONGEST_TEXT) {
      throw new UnreadablePage(Messages.Unreadable_LongText(place, LONGEST_TEXT));
    }
    return text;
  }

  private static Double number(Object value, String place) throws UnreadablePage {
    if (value == null) {
      return null;
    }
    if (value instanceof Double number && Double.isFinite(number)) {
      return number;
    }
    throw wrongType(place);
  }

  private static double pixels(Object value, String place) throws UnreadablePage {
    Double number = number(value, place);
    if (number == null) {
      return 0;
    }
    if (Math.abs(number) > LARGEST_PLACE) {
      throw wrongType(place);
    }
    return number;
  }

  private static UnreadablePage wrongType(String place) {
    return new UnreadablePage(Messages.Unreadable_WrongType(place));
  }
}
