package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import io.nbci.jenkins.JellyView;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NamedNodeMap;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

/** What the views of builds and jobs put out: read as a browser would, not as a text. */
class RenderedPagesTest {
  private static final Locale BEFORE = Locale.getDefault();
  private static final String HOSTILE =
      "</title></pre><script>alert(1)</script><img src=x onerror=\"alert(2)\">' & ${it} {0}";

  /** As a browser sees them, to be looked at; also Chromium's screenshots are taken of them. */
  private static final Path RENDERED = Path.of("target/rendered");

  @TempDir Path folder;

  private FakeJob job;

  @BeforeEach
  void begin() {
    Locale.setDefault(Locale.ENGLISH);
    job = new FakeJob(folder);
  }

  @AfterEach
  void speakAsBefore() {
    Locale.setDefault(BEFORE);
  }

  @Test
  void theBuildsPageHasAllInAReviewersOrder() {
    String html = render(HandedOver.page(job.build(), Samples.full()), "index.jelly");

    assertInOrder(
        html,
        "The run failed: 1 of 6 steps failed",
        "Released as",
        "churn v1.3.1",
        "What failed",
        "KeyError",
        "----&gt; 2 table",
        "OSError",
        "Gates",
        "by 0.038",
        "Metrics",
        "-0.0411",
        "<svg",
        "Steps",
        "same code, data and parameters as run",
        "Models after this run",
        "Warnings",
        "numpy was imported",
        "Left out of this page",
        "120 of 320 metrics");
  }

  @Test
  void whatNbciWroteItselfIsShown() {
    String html = render(HandedOver.page(job.build(), Samples.written()), "index.jelly");

    assertInOrder(
        html, "The run passed: 6 steps in 6.0 s.", "accuracy at least 0.95", "by 0.04111");
    assertFalse(html.contains("What failed"));
    assertFalse(html.contains("Warnings"));
  }

  @Test
  void linksLeadIntoTheReportOfTheBuild() throws Exception {
    job.build();
    String html = render(HandedOver.page(job.build(), Samples.full()), "index.jelly");

    List<String> links = attributes(parse(html), "href");

    assertTrue(links.contains("/jenkins/job/churn/2/artifact/report/index.html"), links.toString());
    assertTrue(links.contains("/jenkins/job/churn/2/artifact/report/steps/report.html#cell-3"));
    assertTrue(links.contains("/jenkins/static/1/plugin/nbci/css/nbci.css"));
    // two of the failure, and one each of steps and boxes that have a page
    assertEquals(
        1 + 2 + 5 + 5, links.stream().filter(link -> link.contains("artifact/report/")).count());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "../../secrets/", "javascript:alert(1)//", "//evil.example/", "a\\b"})
  void withoutAPlaceForTheReportThereAreNoLinks(String report) throws Exception {
    FakeRun run = job.build();
    HandedOver.to(run, new HandedOver.Bytes(Samples.full()), report);

    Document page = parse(render(Pages.of(run).get(0), "index.jelly"));

    assertEquals(List.of("/jenkins/static/1/plugin/nbci/css/nbci.css"), attributes(page, "href"));
    assertEquals(0, page.getElementsByTagName("a").getLength());
  }

  @ParameterizedTest
  @ValueSource(strings = {"index.jelly", "summary.jelly", "badge.jelly", "tabbed.jelly"})
  void hostileTextStaysText(String view) throws Exception {
    JsonObject hostile = Samples.withTexts(Samples.tree(Samples.full()), HOSTILE).getAsJsonObject();
    FakeRun run = job.build();
    NotebookPage page = HandedOver.page(run, Samples.bytes(hostile));
    HandedOver.page(run, Samples.bytes(hostile));

    assertHarmless(render(page, view));
  }

  @ParameterizedTest
  @ValueSource(strings = {"index.jelly", "floatingBox.jelly"})
  void hostileTextStaysTextOnTheJobsPage(String view) throws Exception {
    JsonObject hostile = Samples.withTexts(Samples.tree(Samples.full()), HOSTILE).getAsJsonObject();
    HandedOver.page(job.build(), Samples.bytes(hostile));
    HandedOver.page(job.build(), Samples.bytes(hostile));

    assertHarmless(renderJob(view));
  }

  @Test
  void twoPagesOfABuildAreToldApart() {
    FakeRun run = job.build();
    NotebookPage churn = HandedOver.page(run, Samples.full());
    NotebookPage digits = HandedOver.page(run, Samples.written());

    assertEquals("notebook", churn.getUrlName());
    assertEquals("notebook-2", digits.getUrlName());
    assertInOrder(render(churn, "index.jelly"), "<h1>Notebook: churn</h1>", "pipelines/churn.yaml");
    assertInOrder(
        render(digits, "index.jelly"), "<h1>Notebook: digits</h1>", "pipelines/digits.yaml");
    assertInOrder(render(digits, "summary.jelly"), "href=\"notebook-2/\"", "Notebook: digits");
  }

  @Test
  void theBuildsFrontPageSaysItInShort() {
    String html = render(HandedOver.page(job.build(), Samples.full()), "summary.jelly");

    assertInOrder(
        html,
        "The run failed",
        "Gates: 1 refused, 1 passed, 1 warned, 1 overridden, 1 skipped",
        "report: KeyError",
        "accuracy at least 0.95: 0.912, by 0.038");
  }

  @Test
  void theHistoryHasAChip() {
    String bad = render(HandedOver.page(job.build(), Samples.full()), "badge.jelly");
    String good = render(HandedOver.page(job.build(), Samples.written()), "badge.jelly");

    assertTrue(bad.contains("accuracy 0.912 ▼") && bad.contains("jenkins-!-error-color"), bad);
    assertTrue(good.contains("jenkins-!-success-color"), good);
  }

  @Test
  void longTextsAreCutWhereThereIsNoRoomForThem() {
    String longText = "x".repeat(5_000);
    JsonObject json = Samples.withTexts(Samples.tree(Samples.full()), longText).getAsJsonObject();
    NotebookPage page = HandedOver.page(job.build(), Samples.bytes(json));

    assertTrue(render(page, "badge.jelly").length() < 200);
    assertTrue(render(page, "index.jelly").contains(longText));
    assertFalse(render(page, "short.jelly").contains("x".repeat(301)));
  }

  @Test
  void aPageThatCannotBeReadSaysWhyAndHasNoChip() {
    NotebookPage page = HandedOver.page(job.build(), "[]".getBytes());

    String html = render(page, "index.jelly");

    assertInOrder(html, "cannot be read", "it is not a JSON object");
    assertInOrder(render(page, "summary.jelly"), "cannot be read", "it is not a JSON object");
    assertFalse(render(page, "badge.jelly").contains("<span"));
  }

  @Test
  void spanishReadersGetSpanish() {
    NotebookPage page = HandedOver.page(job.build(), Samples.full());
    Locale.setDefault(new Locale("es"));

    String html = JellyView.render(page, "index.jelly", "es", Map.of());

    assertInOrder(html, "fallido", "Publicado como", "Qué ha fallado", "Umbrales", "rechazado");
    keep("build-es.html", html);
  }

  @Test
  void theGraphIsDescribedAndItsBoxesAreNamed() throws Exception {
    Document page =
        parse(render(HandedOver.page(job.build(), Samples.full()), "index.jelly"));
    Element graph = (Element) page.getElementsByTagName("svg").item(0);

    assertEquals("0 0 820.0 184.0", graph.getAttribute("viewBox"));
    assertTrue(graph.getAttribute("aria-label").startsWith("Graph of 6 steps"));
    assertEquals(6, graph.getElementsByTagName("rect").getLength());
    assertEquals(5, graph.getElementsByTagName("polyline").getLength());
    assertEquals(5, graph.getElementsByTagName("a").getLength());
    assertEquals(
        "load: ↺ reused", graph.getElementsByTagName("title").item(0).getTextContent());
  }

  @Test
  void theJobsPageHasModelsChartsAndATableOfTheSameNumbers() throws Exception {
    for (int build = 0; build < 3; build++) {
      HandedOver.page(job.build(), Samples.full());
    }

    String html = renderJob("index.jelly");

    assertInOrder(
        html, "Models now", "production", "Metrics that gates judge", "<svg", "Builds", "#3", "#1");
    Document page = parse(html);
    // accuracy, auc and latency; loss was judged by no gate
    assertEquals(3, page.getElementsByTagName("svg").getLength());
    assertEquals(9, page.getElementsByTagName("circle").getLength());
    assertTrue(attributes(page, "href").contains("../3/notebook/"));
    assertInOrder(html, "#1: 0.912, failed, released as v1.3.1");
    keep("job.html", html);
  }

  @Test
  void theJobsFrontPageHasASmallChartOnceThereIsALine() {
    HandedOver.page(job.build(), Samples.full());
    assertFalse(renderJob("floatingBox.jelly").contains("<svg"));

    HandedOver.page(job.build(), Samples.full());

    assertInOrder(renderJob("floatingBox.jelly"), "href=\"notebook/\"", "accuracy", "href=\"1/");
  }

  @Test
  void aJobWhosePagesCannotBeReadSaysSo() {
    HandedOver.page(job.build(), "{}".getBytes());

    assertInOrder(renderJob("index.jelly"), "None of these builds has a page that can be read");
  }

  private String render(Object it, String view) {
    String html = JellyView.render(it, view, "en", Map.of());
    keep(view.replace(".jelly", "-" + html.length() % 1000 + ".html"), html);
    return html;
  }

  private String renderJob(String view) {
    JobPage page = new JobPage(job, () -> 50);
    return JellyView.render(
        page, view, "en", Map.of("request2", new Request(), "from", page, "job", job));
  }

  /** What the view asks of a request. */
  public static final class Request {
    public String getParameter(String name) {
      return "builds".equals(name) ? "7" : null;
    }
  }

  private static void assertHarmless(String html) throws Exception {
    Document page = parse(html);
    for (String tag : List.of("script", "img", "iframe", "style", "object", "form")) {
      assertEquals(0, page.getElementsByTagName(tag).getLength(), tag);
    }
    NodeList all = page.getElementsByTagName("*");
    boolean isShown = false;
    for (int i = 0; i < all.getLength(); i++) {
      NamedNodeMap attributes = all.item(i).getAttributes();
      for (int j = 0; j < attributes.getLength(); j++) {
        String name = attributes.item(j).getNodeName();
        assertFalse(name.startsWith("on") || name.equals("style"), name);
      }
    }
    for (String link : attributes(page, "href")) {
      assertTrue(link.matches("(/jenkins/static/|\\.\\./|\\?|\\d+/|notebook).*"), link);
    }
    for (String look : attributes(page, "class")) {
      assertFalse(look.contains("<") || look.contains("alert"), look);
    }
    isShown = page.getDocumentElement().getTextContent().contains("<script>alert(1)</script>");
    assertTrue(isShown, "the text itself is lost");
  }

  private static Document parse(String html) throws Exception {
    String root = "<root>" + html + "</root>";
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(root)));
  }

  private static List<String> attributes(Document page, String name) {
    List<String> found = new ArrayList<>();
    NodeList all = page.getElementsByTagName("*");
    for (int i = 0; i < all.getLength(); i++) {
      Element element = (Element) all.item(i);
      if (element.hasAttribute(name)) {
        found.add(element.getAttribute(name));
      }
    }
    return found;
  }

  private static void assertInOrder(String html, String... texts) {
    int at = 0;
    for (String text : texts) {
      int found = html.indexOf(text, at);
      assertTrue(found >= 0, () -> "not there, or not in its place: " + text + "\n" + html);
      at = found + text.length();
    }
  }

  private static void keep(String name, String html) {
    try {
      Files.createDirectories(RENDERED);
      Files.writeString(RENDERED.resolve(name), html);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
