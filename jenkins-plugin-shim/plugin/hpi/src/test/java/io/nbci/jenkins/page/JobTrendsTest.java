package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the builds of a job say together. */
class JobTrendsTest {
  @Test
  void metricsThatGatesJudgedHaveCharts() {
    JobTrends trends = new JobTrends(List.of(run(2, full()), run(1, full())));

    assertEquals(
        List.of("evaluate:accuracy", "evaluate:auc", "evaluate:latency"), trends.getMetrics());
    assertEquals("accuracy", trends.getCharts().get(0).getShortName());
    assertEquals(List.of("0.912", "0.961", "23 ms"), trends.getRows().get(0).values());
    assertEquals("v1.3.1", trends.getRows().get(0).release());
  }

  @Test
  void chartsGoFromOldToNewAndTheTableFromNewToOld() {
    JobTrends trends = new JobTrends(List.of(run(9, full()), run(4, full())));

    assertTrue(trends.getCharts().get(0).getDots().get(0).title().startsWith("#4"));
    assertEquals(9, trends.getRows().get(0).build());
  }

  @Test
  void aMetricThatIsNeverANumberHasNoChart() {
    JsonObject page = full();
    page.getAsJsonArray("metrics").get(3).getAsJsonObject().addProperty("judged", true);

    JobTrends trends = new JobTrends(List.of(run(1, page)));

    assertEquals(4, trends.getMetrics().size());
    assertEquals(3, trends.getCharts().size());
  }

  @Test
  void targetsOfABuildAreKeptApart() {
    JsonObject other = full();
    other.addProperty("target", "pipelines/other.yaml");

    JobTrends trends = new JobTrends(List.of(run(1, full()), run(1, other)));

    assertTrue(trends.isOfSeveralTargets());
    assertEquals(6, trends.getCharts().size());
    assertEquals(1, trends.getCharts().get(0).getDots().size());
    assertEquals("pipelines/other.yaml", trends.getCharts().get(3).getTarget());
    assertEquals(3, trends.getMetrics().size());
    assertEquals(4, trends.getChampions().size());
  }

  @Test
  void theChampionIsWhatTheNewestBuildThatKnowsOneSays() {
    JsonObject without = full();
    without.add("models", new JsonArray());
    JsonObject old = full();
    old.getAsJsonArray("models").get(0).getAsJsonObject().addProperty("version", "v0.1.0");

    List<JobTrends.Champion> champions =
        new JobTrends(List.of(run(3, without), run(2, full()), run(1, old))).getChampions();

    assertEquals(2, champions.size());
    assertEquals("v1.2.0", champions.get(0).model().version());
    assertEquals(2, champions.get(0).build());
  }

  @Test
  void moreMetricsThanAReaderWantsAreCounted() {
    JsonObject page = full();
    JsonArray metrics = new JsonArray();
    for (int number = 0; number < 50; number++) {
      JsonObject metric = page.getAsJsonArray("metrics").get(0).getAsJsonObject().deepCopy();
      metric.addProperty("name", "evaluate:m" + number);
      metrics.add(metric);
    }
    page.add("metrics", metrics);

    JobTrends trends = new JobTrends(List.of(run(1, page)));

    assertEquals(20, trends.getCharts().size());
    assertEquals(30, trends.getLeftOut());
  }

  @Test
  void nothingIsNothing() {
    JobTrends trends = new JobTrends(new ArrayList<>());

    assertTrue(trends.isWithoutPages());
    assertTrue(trends.getCharts().isEmpty() && trends.getRows().isEmpty());
    assertFalse(trends.isOfSeveralTargets());
  }

  private static JsonObject full() {
    return Samples.tree(Samples.full());
  }

  private static JobTrends.Run run(int build, JsonObject page) {
    return new JobTrends.Run(build, build + "/notebook/", Samples.record(Samples.bytes(page)));
  }
}
