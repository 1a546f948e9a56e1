package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where the parts of a chart are. */
class TrendTest {
  private static final Locale BEFORE = Locale.getDefault();

  @BeforeEach
  void speakEnglish() {
    Locale.setDefault(Locale.ENGLISH);
  }

  @AfterEach
  void speakAsBefore() {
    Locale.setDefault(BEFORE);
  }

  @Test
  void oneBuildStandsInTheMiddle() {
    Trend trend = of(0.5);

    assertEquals(1, trend.getDots().size());
    assertEquals((trend.getLeft() + trend.getRight()) / 2, trend.getDots().get(0).x());
    assertEquals(List.of(), trend.getLines());
    assertEquals("#1: 0.5, passed", trend.getDots().get(0).title());
  }

  @Test
  void higherValuesAreHigherUpAndLaterBuildsFurtherRight() {
    List<Trend.Dot> dots = of(0.90, 0.95, 0.92).getDots();

    assertTrue(dots.get(1).y() < dots.get(2).y() && dots.get(2).y() < dots.get(0).y());
    assertTrue(dots.get(0).x() < dots.get(1).x() && dots.get(1).x() < dots.get(2).x());
  }

  @Test
  void aConstantMetricIsALineInTheMiddle() {
    Trend trend = of(23, 23, 23);

    double middle = (trend.getTop() + trend.getBottom()) / 2;
    trend.getDots().forEach(dot -> assertEquals(middle, dot.y(), 20));
    assertTrue(trend.getTicks().size() > 1);
    assertInside(of(0, 0));
    assertInside(of(1, 1 + 1e-15));
  }

  @Test
  void aBuildWithoutNumberBreaksTheLine() {
    Trend trend = of(1.0, 2.0, null, 3.0, 4.0, null, 5.0);

    assertEquals(2, trend.getLines().size());
    assertEquals(2, trend.getLines().get(0).split(" ").length);
    assertEquals(5, trend.getDots().size());
  }

  @Test
  void aFailedBuildWithoutNumberIsMarkedOnTheGround() {
    Trend trend =
        new Trend(
            "evaluate:accuracy",
            "churn.yaml",
            List.of(value(1, 0.9, "passed"), value(2, null, "failed"), value(3, null, "skipped")));

    Trend.Dot failed = trend.getDots().get(1);
    assertEquals(trend.getBottom(), failed.y());
    assertEquals("bad", failed.look());
    assertEquals("#2: failed", failed.title());
    assertEquals(2, trend.getDots().size());
  }

  @Test
  void releasesAreMarkedAndNamedWhereThereIsRoom() {
    List<Trend.Value> values = new ArrayList<>();
    for (int build = 1; build <= 100; build++) {
      values.add(new Trend.Value(build, "p", 1.0 * build, "x", "passed", "v1." + build));
    }

    Trend trend = new Trend("m", "t", values);

    assertEquals(100, trend.getReleases().size());
    long labels = trend.getReleases().stream().filter(mark -> !mark.label().isEmpty()).count();
    assertTrue(labels >= 5 && labels <= 8, "labels: " + labels);
    assertTrue(trend.getDots().get(4).title().contains("released as v1.5"));
  }

  @Test
  void theNewestBuildIsNamedAndLabelsDoNotOverlap() {
    Trend trend = ofMany(300);

    List<Trend.Mark> labels = trend.getBuildLabels();
    assertEquals("#300", labels.get(0).label());
    for (int i = 1; i < labels.size(); i++) {
      assertTrue(labels.get(i - 1).x() - labels.get(i).x() >= 56);
    }
    assertTrue(labels.size() >= 5);
  }

  @Test
  void hundredsOfBuildsFit() {
    Trend trend = ofMany(500);

    assertInside(trend);
    assertEquals(500, trend.getDots().size());
    assertEquals(1, trend.getLines().size());
    assertTrue(trend.getDotRadius() < of(1, 2).getDotRadius());
  }

  @Test
  void anyNumbersGiveAChart() {
    double[] odd = {
      0, -0.0, 1, -1, 1e-300, -1e-300, 1e300, Double.MAX_VALUE, -Double.MAX_VALUE,
      Double.MIN_VALUE, 1e15, 1e15 + 1, 123456.789, -7e-5
    };
    for (double first : odd) {
      for (double second : odd) {
        Trend trend = of(first, second);

        assertInside(trend);
        int ticks = trend.getTicks().size();
        assertTrue(ticks >= 2 && ticks <= 8, first + ", " + second + ": " + ticks + " ticks");
      }
    }
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "0.91 | 0.97 | 0.90 0.92 0.94 0.96 0.98",
      "0 | 1 | 0.0 0.5 1.0",
      "-3 | 12 | -5 0 5 10 15",
      "250 | 1200 | 0 500 1000 1500",
      "0.00021 | 0.00029 | 0.00020 0.00022 0.00024 0.00026 0.00028 0.00030",
  })
  void ticksAreRoundNumbers(double least, double most, String ticks) {
    Axis axis = Axis.of(List.of(least, most));

    assertEquals(ticks, String.join(" ", axis.ticks().stream().map(axis::label).toList()));
  }

  @Test
  void ticksOfVeryLargeAndSmallNumbersAreShort() {
    for (double size : new double[] {3e12, 4e-12, 7e200}) {
      Axis axis = Axis.of(List.of(size, size * 2));

      axis.ticks().forEach(tick -> assertTrue(axis.label(tick).length() <= 8, axis.label(tick)));
    }
  }

  private static void assertInside(Trend trend) {
    for (Trend.Dot dot : trend.getDots()) {
      assertTrue(dot.x() >= trend.getLeft() && dot.x() <= trend.getRight(), dot.toString());
      assertTrue(dot.y() >= trend.getTop() && dot.y() <= trend.getBottom(), dot.toString());
    }
  }

  private static Trend ofMany(int count) {
    Random random = new Random(3);
    return of(random.doubles(count).boxed().toArray());
  }

  private static Trend of(Object... numbers) {
    List<Trend.Value> values = new ArrayList<>();
    for (Object number : Arrays.asList(numbers)) {
      Double value = number == null ? null : ((Number) number).doubleValue();
      values.add(value(values.size() + 1, value, number == null ? "skipped" : "passed"));
    }
    return new Trend("evaluate:accuracy", "churn.yaml", values);
  }

  private static Trend.Value value(int build, Double number, String result) {
    String shown = number == null ? "" : String.valueOf(number);
    return new Trend.Value(build, build + "/notebook/", number, shown, result, "");
  }
}
