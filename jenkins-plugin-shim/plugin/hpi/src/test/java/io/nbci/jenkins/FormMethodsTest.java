package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.thoughtworks.xstream.core.JVM;
import hudson.model.Item;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import jenkins.model.Jenkins;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.kohsuke.stapler.verb.POST;

/** Every method that a form calls: by POST only, and for nobody without the permission. */
class FormMethodsTest {
  private static final Path CLASSES = Path.of("target/classes");
  private static final Pattern FORM_METHOD = Pattern.compile("do(Check|Fill|Test|AutoComplete).*");

  static List<Method> methods() {
    try (Stream<Path> files = Files.walk(CLASSES)) {
      return files
          .filter(file -> file.toString().endsWith(".class"))
          .map(FormMethodsTest::classOf)
          .flatMap(type -> Arrays.stream(type.getDeclaredMethods()))
          .filter(method -> FORM_METHOD.matcher(method.getName()).matches())
          .filter(method -> !method.isBridge())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void thereAreMethods() {
    assertFalse(methods().isEmpty());
  }

  @ParameterizedTest
  @MethodSource("methods")
  void onlyAPostCallsIt(Method method) {
    assertTrue(method.isAnnotationPresent(POST.class));
  }

  @ParameterizedTest
  @MethodSource("methods")
  void itAsksForThePermissionFirst(Method method) throws Exception {
    Object owner = withoutConstructor(method.getDeclaringClass());
    Refusing refusing = new Refusing();
    Object[] arguments = new Object[method.getParameterCount()];
    for (int i = 0; i < arguments.length; i++) {
      arguments[i] = method.getParameterTypes()[i] == Item.class ? refusing.item() : null;
    }
    boolean isOfItem = Arrays.asList(method.getParameterTypes()).contains(Item.class);

    try {
      method.invoke(owner, arguments);
    } catch (InvocationTargetException e) {
      boolean refused = e.getCause() instanceof Refused;
      boolean isStopped = isOfItem ? refused : asksJenkins(e.getCause());
      assertTrue(isStopped, () -> "it went on: " + e.getCause());
      return;
    }

    // an empty list instead of an exception is fine for a drop-down
    if (!isOfItem || !refusing.wasAsked) {
      fail("nothing was asked for a permission");
    }
  }

  /** The stub of Jenkins has no controller to give: whoever asks for it gets no further. */
  private static boolean asksJenkins(Throwable error) {
    return Arrays.stream(error.getStackTrace())
        .limit(2)
        .anyMatch(frame -> frame.getClassName().equals(Jenkins.class.getName()));
  }

  /** Constructors of descriptors load files of the controller. */
  private static Object withoutConstructor(Class<?> type) {
    return JVM.newReflectionProvider().newInstance(type);
  }

  private static Class<?> classOf(Path file) {
    String path = CLASSES.relativize(file).toString();
    String name = path.replaceAll("\\.class$", "").replace('/', '.').replace('\\', '.');
    try {
      return Class.forName(name, false, FormMethodsTest.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  private static final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** An item that nobody may do anything with. */
  private static final class Refusing {
    private boolean wasAsked;

    Item item() {
      return (Item)
          Proxy.newProxyInstance(
              Item.class.getClassLoader(),
              new Class<?>[] {Item.class},
              (proxy, method, arguments) -> {
                wasAsked = true;
                if (method.getName().equals("hasPermission")) {
                  return false;
                }
                throw method.getName().equals("checkPermission")
                    ? new Refused()
                    : new AssertionError("asked before the permission: " + method);
              });
    }
  }
}
