package io.nbci.jenkins;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;

/**
 * The signatures of classes, as javap shows them: a line for each class, and one for each member
 * that a plugin can use.
 *
 * <p>The recorded list was made by {@link #main} from the classes of a real controller.
 */
public final class Signatures {
  private static final Pattern KIND = Pattern.compile("(@?interface|class|enum) ");
  private static final Pattern MEMBER = Pattern.compile("^ +((?:[a-z]+ )*)(.*?)(?:\\(.*)?;?$");
  private static final Pattern DESCRIPTOR = Pattern.compile("^ +descriptor: (.*)$");
  private static final List<String> TELLING = List.of("static", "abstract", "final", "protected");

  private Signatures() {}

  /**
   * Prints what is to be recorded: of each stub, the lines that the real class has, too.
   *
   * @param arguments the folder of the compiled stubs, and the class path of a controller
   */
  public static void main(String[] arguments) {
    Path stubs = Path.of(arguments[0]);
    for (String name : classesIn(stubs)) {
      SortedSet<String> real = of(name, arguments[1]);
      real.retainAll(of(name, stubs.toString()));
      real.forEach(System.out::println);
    }
  }

  /** The names of the compiled stubs, but the one that their bodies are made of. */
  static List<String> classesIn(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .map(file -> folder.relativize(file).toString())
          .filter(path -> path.endsWith(".class") && !path.startsWith("io"))
          .map(path -> path.replace(".class", "").replace('/', '.').replace('\\', '.'))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The lines of one class; none where the class path has no such class. */
  static SortedSet<String> of(String className, String classPath) {
    SortedSet<String> found = new TreeSet<>();
    String modifiers = "";
    String member = "";
    for (String line : javap(className, classPath)) {
      Matcher descriptor = DESCRIPTOR.matcher(line);
      Matcher kind = KIND.matcher(line);
      if (!line.startsWith(" ") && kind.find()) {
        found.add(className + " " + kind.group(1));
      } else if (descriptor.matches()) {
        found.add(className + " " + modifiers + member + " " + descriptor.group(1));
      } else {
        Matcher declared = MEMBER.matcher(line);
        if (declared.matches()) {
          modifiers = telling(declared.group(1));
          member = lastWord(declared.group(2));
        }
      }
    }
    return found;
  }

  private static List<String> javap(String className, String classPath) {
    ToolProvider javap = ToolProvider.findFirst("javap").orElseThrow();
    StringWriter out = new StringWriter();
    PrintWriter printer = new PrintWriter(out);
    javap.run(printer, new PrintWriter(new StringWriter()),
        "-s", "-protected", "-cp", classPath, className);
    return new ArrayList<>(out.toString().lines().toList());
  }

  /** The modifiers that decide how a plugin's code must call a member. */
  private static String telling(String modifiers) {
    StringBuilder text = new StringBuilder();
    for (String modifier : modifiers.split(" ")) {
      if (TELLING.contains(modifier)) {
        text.append(modifier).append(' ');
      }
    }
    return text.toString();
  }

  private static String lastWord(String declared) {
    return declared.substring(declared.lastIndexOf(' ') + 1);
  }
}
