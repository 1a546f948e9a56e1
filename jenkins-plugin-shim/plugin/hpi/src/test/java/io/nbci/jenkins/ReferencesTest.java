package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the compiled plugin calls is there in a real Jenkins, with the very same descriptor. */
class ReferencesTest {
  private static final Path CLASSES = Path.of("target/classes");
  private static final Path RECORDED = Path.of("src/test/resources/signatures-2.568.2.txt");
  private static final Pattern REFERENCE =
      Pattern.compile("= (?:Methodref|Fieldref|InterfaceMethodref) +\\S+ +// ([^.]+)\\.(\\S+?):(\\S+)");

  @Test
  void everyReferenceIsRecorded() throws Exception {
    Set<String> recorded = new HashSet<>();
    for (String line : Files.readAllLines(RECORDED, StandardCharsets.UTF_8)) {
      recorded.add(line.replaceAll(" (?:static |abstract |final |protected )+", " "));
    }

    SortedSet<String> missing = new TreeSet<>();
    int looked = 0;
    Matcher reference = REFERENCE.matcher(constantPools());
    while (reference.find()) {
      String owner = reference.group(1).replace('/', '.');
      if (!isJenkins(owner)) {
        continue;
      }
      looked++;
      String member = reference.group(2).replace("\"", "");
      if (!isRecorded(owner, member, reference.group(3), recorded)) {
        missing.add(owner + " " + member + " " + reference.group(3));
      }
    }

    assertTrue(looked > 50, "few references: " + looked);
    assertEquals(new TreeSet<String>(), missing);
  }

  /** In the class itself or in what it inherits from, as the virtual machine looks for it. */
  private static boolean isRecorded(
      String owner, String member, String descriptor, Set<String> recorded) throws Exception {
    Class<?> type = Class.forName(owner);
    if (member.equals("<init>")) {
      return recorded.contains(owner + " " + owner + " " + descriptor);
    }
    for (Class<?> from : withSupertypes(type)) {
      boolean ofJava = !isJenkins(from.getName()) && declares(from, member);
      if (ofJava || recorded.contains(from.getName() + " " + member + " " + descriptor)) {
        return true;
      }
    }
    return false;
  }

  private static boolean declares(Class<?> type, String member) {
    return Stream.of(type.getDeclaredMethods())
        .anyMatch(method -> method.getName().equals(member));
  }

  private static Set<Class<?>> withSupertypes(Class<?> type) {
    Set<Class<?>> found = new LinkedHashSet<>();
    for (Class<?> at = type; at != null; at = at.getSuperclass()) {
      found.add(at);
    }
    for (Class<?> at : List.copyOf(found)) {
      for (Class<?> implemented : at.getInterfaces()) {
        found.addAll(withSupertypes(implemented));
      }
    }
    if (type.isInterface()) {
      found.add(Object.class);
    }
    return found;
  }

  private static boolean isJenkins(String className) {
    String plain = className.replace("[L", "");
    return Stream.of("hudson.", "jenkins.", "org.kohsuke.", "com.cloudbees.", "org.jenkinsci.")
        .anyMatch(plain::startsWith);
  }

  private static String constantPools() throws IOException {
    ToolProvider javap = ToolProvider.findFirst("javap").orElseThrow();
    StringWriter out = new StringWriter();
    try (Stream<Path> files = Files.walk(CLASSES)) {
      for (Path file :
          files
              .filter(path -> path.toString().endsWith(".class"))
              .sorted(Comparator.naturalOrder())
              .toList()) {
        javap.run(new PrintWriter(out), new PrintWriter(new StringWriter()), "-v", file.toString());
      }
    }
    return out.toString();
  }
}
