package io.nbci.jenkins.page;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** A metric over builds as a small chart: where each of its lines, dots and texts is. */
public final class Trend {
  private static final double WIDTH = 480;
  private static final double HEIGHT = 190;
  private static final double LEFT = 60;
  private static final double RIGHT = 468;
  private static final double TOP = 22;
  private static final double BOTTOM = 158;
  /** Labels closer to each other than this would overlap. */
  private static final double LABEL_WIDTH = 56;
  private static final int LONGEST_LABEL = 9;

  private final String name;
  private final String target;
  private final List<Value> values;
  private final List<Tick> ticks = new ArrayList<>();
  private final List<Dot> dots = new ArrayList<>();
  private final List<String> lines = new ArrayList<>();
  private final List<Mark> releases = new ArrayList<>();
  private final List<Mark> buildLabels = new ArrayList<>();

  /**
   * A build's value.
   *
   * @param number null where the build has no number for the metric
   * @param release what was released from it; empty: nothing
   */
  public record Value(
      int build, String page, Double number, String shown, String result, String release) {}

  /** A number beside the chart. */
  public record Tick(double y, String label) {}

  /** A build; the title says it in words. */
  public record Dot(double x, double y, String page, String title, String look) {}

  /** A text at a place between left and right; empty: no room for one. */
  public record Mark(double x, String label) {}

  /** Lays the chart out; the values are in the order of the builds, and some have numbers. */
  Trend(String name, String target, List<Value> values) {
    this.name = name;
    this.target = target;
    this.values = List.copyOf(values);
    Axis axis =
        Axis.of(values.stream().map(Value::number).filter(Objects::nonNull).toList());
    for (double tick : axis.ticks()) {
      ticks.add(new Tick(height(axis, tick), axis.label(tick)));
    }
    addDots(axis);
    addLines(axis);
    addReleases();
    addBuildLabels();
  }

  public String getName() {
    return name;
  }

  /** The metric's name without its step. */
  public String getShortName() {
    return name.substring(name.lastIndexOf(':') + 1);
  }

  /** The notebook or pipeline file. */
  public String getTarget() {
    return target;
  }

  public List<Tick> getTicks() {
    return Collections.unmodifiableList(ticks);
  }

  public List<Dot> getDots() {
    return Collections.unmodifiableList(dots);
  }

  /** Runs of builds with numbers, as SVG's `points` has them. */
  public List<String> getLines() {
    return Collections.unmodifiableList(lines);
  }

  public List<Mark> getReleases() {
    return Collections.unmodifiableList(releases);
  }

  public List<Mark> getBuildLabels() {
    return Collections.unmodifiableList(buildLabels);
  }

  public double getWidth() {
    return WIDTH;
  }

  public double getHeight() {
    return HEIGHT;
  }

  public double getLeft() {
    return LEFT;
  }

  public double getRight() {
    return RIGHT;
  }

  public double getTop() {
    return TOP;
  }

  public double getBottom() {
    return BOTTOM;
  }

  /** How large a dot may be for its neighbours to be seen. */
  public double getDotRadius() {
    return rounded(Math.max(1.5, Math.min(4, distance() / 2.5)));
  }

  private void addDots(Axis axis) {
    for (int index = 0; index < values.size(); index++) {
      Value value = values.get(index);
      String look = Words.look(value.result());
      if (value.number() == null) {
        // Only what went wrong is shown without a number: a build that measures nothing is no news.
        if (look.equals("bad")) {
          dots.add(new Dot(place(index), BOTTOM, value.page(), title(value), look));
        }
      } else {
        double y = height(axis, value.number());
        dots.add(new Dot(place(index), y, value.page(), title(value), look));
      }
    }
  }

  private void addLines(Axis axis) {
    List<String> points = new ArrayList<>();
    for (int index = 0; index < values.size(); index++) {
      Double number = values.get(index).number();
      if (number == null) {
        endLine(points);
      } else {
        points.add(place(index) + "," + height(axis, number));
      }
    }
    endLine(points);
  }

  private void endLine(List<String> points) {
    // A single point is a dot, and no line.
    if (points.size() > 1) {
      lines.add(String.join(" ", points));
    }
    points.clear();
  }

  private void addReleases() {
    double labelled = Double.NEGATIVE_INFINITY;
    for (int index = 0; index < values.size(); index++) {
      Value value = values.get(index);
      if (value.release().isEmpty()) {
        continue;
      }
      double x = place(index);
      boolean hasRoom = x - labelled >= LABEL_WIDTH;
      releases.add(new Mark(x, hasRoom ? Words.shortened(value.release(), LONGEST_LABEL) : ""));
      labelled = hasRoom ? x : labelled;
    }
  }

  private void addBuildLabels() {
    double labelled = Double.POSITIVE_INFINITY;
    // From the newest one back: that is the one that readers look for.
    for (int index = values.size() - 1; index >= 0; index--) {
      double x = place(index);
      if (labelled - x >= LABEL_WIDTH) {
        buildLabels.add(new Mark(x, "#" + values.get(index).build()));
        labelled = x;
      }
    }
  }

  private String title(Value value) {
    String title = "#" + value.build() + ": " + value.shown();
    title += value.shown().isEmpty() ? "" : ", ";
    title += Words.of(value.result());
    if (!value.release().isEmpty()) {
      title += ", " + Messages.Trend_Released(value.release());
    }
    return title;
  }

  private double place(int index) {
    // One build alone stands in the middle.
    return rounded(values.size() == 1 ? (LEFT + RIGHT) / 2 : LEFT + 8 + index * distance());
  }

  private double distance() {
    return (RIGHT - LEFT - 16) / Math.max(1, values.size() - 1);
  }

  private static double height(Axis axis, double value) {
    return rounded(BOTTOM - axis.share(value) * (BOTTOM - TOP));
  }

  private static double rounded(double pixels) {
    return Math.round(pixels * 10) / 10.0;
  }
}
