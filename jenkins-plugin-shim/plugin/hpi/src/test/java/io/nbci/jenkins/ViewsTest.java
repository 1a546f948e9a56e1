package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Every Jelly view: well-formed, escaped, without scripts, with a help for every field. */
class ViewsTest {
  private static final String FORM = "/lib/form";
  /** Jenkins' Content-Security-Policy allows none of these in a page. */
  private static final Pattern INLINE =
      Pattern.compile("<script(?![^>]*\\bsrc=)|\\son[a-z]+=|\\sstyle=|javascript:", 2);

  static Stream<Path> views() {
    return ResourceFiles.endingWith(".jelly").stream();
  }

  @Test
  void thereAreViews() {
    assertFalse(views().toList().isEmpty());
  }

  @ParameterizedTest
  @MethodSource("views")
  void viewIsWellFormedAndEscaped(Path view) throws Exception {
    parse(view);

    assertTrue(ResourceFiles.text(view).startsWith("<?jelly escape-by-default='true'?>"));
  }

  @ParameterizedTest
  @MethodSource("views")
  void viewHasNothingInline(Path view) {
    Matcher inline = INLINE.matcher(ResourceFiles.text(view));

    assertFalse(inline.find(), () -> "inline in " + view);
  }

  @ParameterizedTest
  @MethodSource("views")
  void everyFieldHasHelpInBothLanguages(Path view) throws Exception {
    List<Path> missing = new ArrayList<>();

    for (String field : fields(parse(view))) {
      Path help = view.resolveSibling("help-" + field + ".html");
      if (!Files.exists(help)) {
        missing.add(help);
      }
      if (!Files.exists(ResourceFiles.inSpanish(help))) {
        missing.add(ResourceFiles.inSpanish(help));
      }
    }

    assertTrue(missing.isEmpty(), () -> "no help: " + missing);
  }

  static Stream<Path> helpFiles() {
    return ResourceFiles.endingWith(".html").stream();
  }

  /** Jenkins puts a help file into the page as it is. */
  @ParameterizedTest
  @MethodSource("helpFiles")
  void helpIsWellFormedWithNothingInline(Path help) throws Exception {
    String text = ResourceFiles.text(help);
    DocumentBuilderFactory.newDefaultInstance()
        .newDocumentBuilder()
        .parse(new java.io.ByteArrayInputStream(text.getBytes("UTF-8")));

    assertFalse(INLINE.matcher(text).find());
  }

  private static Document parse(Path view) throws Exception {
    DocumentBuilderFactory factory = DocumentBuilderFactory.newDefaultInstance();
    factory.setNamespaceAware(true);
    return factory.newDocumentBuilder().parse(view.toFile());
  }

  private static List<String> fields(Document view) {
    List<String> found = new ArrayList<>();
    NodeList entries = view.getElementsByTagNameNS(FORM, "entry");
    for (int i = 0; i < entries.getLength(); i++) {
      String field = ((Element) entries.item(i)).getAttribute("field");
      if (!field.isEmpty()) {
        found.add(field);
      }
    }
    return found;
  }
}
