package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every text that people see is there in English and in Spanish. */
class LocalisationTest {
  /** In a view: a text, with its arguments in brackets. */
  private static final Pattern TEXT = Pattern.compile("\\$\\{%([^}(]+)(?:\\([^}]*\\))?\\}");

  static Stream<Path> views() {
    return ResourceFiles.endingWith(".jelly").stream()
        .filter(view -> !textsOf(view).isEmpty());
  }

  static Stream<Path> messages() {
    return ResourceFiles.endingWith("Messages.properties").stream();
  }

  /** A text that is its own key needs no file in English. */
  @ParameterizedTest
  @MethodSource("views")
  void viewHasAllTextsInSpanish(Path view) {
    String base = view.toString().replaceAll("\\.jelly$", "");

    Properties spanish = ResourceFiles.properties(Path.of(base + "_es.properties"));

    assertEquals(textsOf(view), new TreeSet<>(spanish.stringPropertyNames()));
  }

  @ParameterizedTest
  @MethodSource("messages")
  void messagesAreTheSameInBothLanguages(Path messages) {
    Properties english = ResourceFiles.properties(messages);
    Properties spanish = ResourceFiles.properties(ResourceFiles.inSpanish(messages));

    assertEquals(english.stringPropertyNames(), spanish.stringPropertyNames());
    for (String key : english.stringPropertyNames()) {
      assertEquals(
          argumentsOf(english.getProperty(key)), argumentsOf(spanish.getProperty(key)), key);
    }
  }

  /** Each message has a method, and each method its message. */
  @ParameterizedTest
  @MethodSource("messages")
  void everyMessageHasItsMethod(Path messages) throws Exception {
    Class<?> type = Class.forName(classNameOf(messages));
    Set<String> methods =
        Arrays.stream(type.getDeclaredMethods())
            .map(Method::getName)
            .filter(name -> !name.contains("$"))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> keys =
        ResourceFiles.properties(messages).stringPropertyNames().stream()
            .map(key -> key.replace('.', '_'))
            .collect(Collectors.toCollection(TreeSet::new));

    assertEquals(keys, methods);
  }

  @ParameterizedTest
  @MethodSource("messages")
  void everyMethodFormatsItsMessage(Path messages) throws Exception {
    Class<?> type = Class.forName(classNameOf(messages));
    for (Method method : type.getDeclaredMethods()) {
      if (method.getName().contains("$")) {
        continue;
      }
      method.setAccessible(true);
      Object[] arguments = new Object[method.getParameterCount()];
      Class<?>[] types = method.getParameterTypes();
      Arrays.setAll(
          arguments, at -> types[at] == int.class ? (Object) (7000 + at) : "<" + at + ">");

      String text = method.invoke(null, arguments).toString();

      for (Object argument : arguments) {
        assertTrue(text.contains(argument.toString()), () -> method + " leaves one out: " + text);
      }
      assertTrue(!text.matches(".*\\{\\d.*"), () -> method + " wants more: " + text);
    }
  }

  private static String classNameOf(Path messages) {
    String path = ResourceFiles.ROOT.relativize(messages).toString();
    return path.replaceAll("\\.properties$", "").replace('/', '.').replace('\\', '.');
  }

  private static Set<String> textsOf(Path view) {
    Set<String> found = new TreeSet<>();
    Matcher text = TEXT.matcher(ResourceFiles.text(view));
    while (text.find()) {
      found.add(text.group(1).strip());
    }
    return found;
  }

  private static Set<String> argumentsOf(String text) {
    Set<String> found = new TreeSet<>();
    Matcher argument = Pattern.compile("\\{\\d+").matcher(text.toLowerCase(Locale.ROOT));
    while (argument.find()) {
      found.add(argument.group());
    }
    return found;
  }
}
