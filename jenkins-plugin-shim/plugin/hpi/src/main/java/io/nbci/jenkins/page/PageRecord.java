package io.nbci.jenkins.page;

import java.util.List;
import java.util.Optional;

/**
 * What nbci says of one run, ready to be shown: the content of its page.json.
 *
 * <p>All of it comes from a build, and so from whoever can change the project: texts are shown
 * escaped, and a link that does not stay within the report is an empty text here.
 */
public record PageRecord(
    String run,
    String pipeline,
    String target,
    String nbci,
    String result,
    String headline,
    Ending ending,
    String description,
    String started,
    String took,
    String commit,
    String report,
    Badge badge,
    List<Failure> failures,
    List<Gate> gates,
    List<Metric> metrics,
    List<Step> steps,
    Optional<Graph> graph,
    List<Model> models,
    Optional<Release> release,
    List<Parameter> parameters,
    List<String> warnings,
    List<String> leftOut) {

  /** The newest format that can be read; a page of a newer one is refused by its number. */
  public static final int FORMAT = 1;

  /** How the build is to end; infrastructure: the machine failed, not the notebook. */
  public record Ending(String result, String message, boolean infrastructure) {}

  /** The run in a few words, for the list of builds; its kind is `good`, `bad` or `plain`. */
  public record Badge(String text, String kind) {}

  /** A step that failed; the step's name is empty where the run failed as a whole. */
  public record Failure(
      String step, String message, String place, String traceback, String hint, String link) {}

  /** A gate's answer; the margin is the room to its bound, or by how much it was missed. */
  public record Gate(
      String gate,
      String step,
      String result,
      String value,
      String explanation,
      String margin) {}

  /** A metric beside the baseline's; the number is null for NaN and the infinities. */
  public record Metric(
      String name,
      String shortName,
      Double number,
      String value,
      String change,
      String direction,
      boolean judged) {}

  /** A step, with how long it took or why it did not run. */
  public record Step(String name, String result, String note, String link) {}

  /** The graph of the steps, in pixels; alt says in words what it shows. */
  public record Graph(
      double width, double height, String alt, List<Node> nodes, List<Edge> edges) {}

  /** A box of the graph; its title is all that it says, for who cannot see it. */
  public record Node(
      String name,
      String label,
      double x,
      double y,
      double width,
      double height,
      String result,
      String note,
      String title,
      String link) {}

  /** A line of the graph, as SVG's `points` has it. */
  public record Edge(String points) {}

  /** A version of a model, and the stage it is in. */
  public record Model(String model, String version, String stage, String promoted) {}

  /** The version that was made of the run. */
  public record Release(String model, String version) {}

  /**
   * A parameter as a form asks for it; the kind is `string`, `boolean`, `choice` or `text`.
   *
   * <p>Optional: left empty, the pipeline's own default counts.
   */
  public record Parameter(
      String name,
      String type,
      String kind,
      String defaultValue,
      List<String> choices,
      String help,
      boolean optional) {}

  /** Reads a page.json of which there is all. */
  public static PageRecord read(byte[] json) throws UnreadablePage {
    return PageDecoder.decode(JsonTree.read(json));
  }
}
