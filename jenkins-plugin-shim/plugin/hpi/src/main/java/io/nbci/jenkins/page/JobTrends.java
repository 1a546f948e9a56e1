package io.nbci.jenkins.page;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the builds of a job say together: the metrics that gates judged, and the models now. */
public final class JobTrends {
  /** A pipeline with hundreds of judged metrics would make a page that nobody reads. */
  private static final int MOST_METRICS = 20;

  private final List<Run> runs;
  /** By name, in the order of the runs: each chart and each row asks for some. */
  private final List<Map<String, PageRecord.Metric>> metrics;
  private final List<Series> series;
  private final int leftOut;

  /** A page of a build: its number, the page's address below the job's, and what nbci said. */
  record Run(int build, String page, PageRecord record) {
    Map<String, PageRecord.Metric> metrics() {
      Map<String, PageRecord.Metric> found = new HashMap<>();
      record.metrics().forEach(metric -> found.putIfAbsent(metric.name(), metric));
      return found;
    }

    String target() {
      return record.target();
    }

    String release() {
      return record.release().map(PageRecord.Release::version).orElse("");
    }
  }

  /** A metric of a target. */
  record Series(String target, String metric) {}

  /** A build in the table; its values are in the order of the metrics. */
  public record Row(
      int build, String page, String target, String result, String release, List<String> values) {}

  /** A version of a model and its stage, as the newest build that knows them says. */
  public record Champion(int build, String page, PageRecord.Model model) {}

  /** Takes the pages of a job's builds, the newest first. */
  JobTrends(List<Run> newestFirst) {
    runs = List.copyOf(newestFirst);
    metrics = runs.stream().map(Run::metrics).toList();
    Set<Series> found = new LinkedHashSet<>();
    for (Run run : runs) {
      for (PageRecord.Metric metric : run.record().metrics()) {
        if (metric.judged()) {
          found.add(new Series(run.target(), metric.name()));
        }
      }
    }
    series = found.stream().limit(MOST_METRICS).toList();
    leftOut = found.size() - series.size();
  }

  public boolean isWithoutPages() {
    return runs.isEmpty();
  }

  /** How many metrics there was no room for. */
  public int getLeftOut() {
    return leftOut;
  }

  /** A chart for each metric that is a number in some build. */
  public List<Trend> getCharts() {
    List<Trend> charts = new ArrayList<>();
    for (Series metric : series) {
      List<Trend.Value> values = valuesOf(metric);
      if (values.stream().anyMatch(value -> value.number() != null)) {
        charts.add(new Trend(metric.metric(), metric.target(), values));
      }
    }
    return charts;
  }

  /** The names of the table's columns. */
  public List<String> getMetrics() {
    // The same metric of two targets is one column: the rows tell them apart.
    return series.stream().map(Series::metric).distinct().toList();
  }

  public boolean isOfSeveralTargets() {
    return runs.stream().map(Run::target).distinct().count() > 1;
  }

  /** The builds as a table has them, the newest first. */
  public List<Row> getRows() {
    List<String> columns = getMetrics();
    List<Row> rows = new ArrayList<>();
    for (int at = 0; at < runs.size(); at++) {
      Run run = runs.get(at);
      List<String> values = new ArrayList<>();
      for (String column : columns) {
        PageRecord.Metric metric = metrics.get(at).get(column);
        values.add(metric == null ? "" : metric.value());
      }
      rows.add(
          new Row(
              run.build(),
              run.page(),
              run.target(),
              run.record().result(),
              run.release(),
              Collections.unmodifiableList(values)));
    }
    return rows;
  }

  /** The models of each target in their stages now. */
  public List<Champion> getChampions() {
    List<Champion> champions = new ArrayList<>();
    Map<String, Run> newest = new LinkedHashMap<>();
    for (Run run : runs) {
      if (!run.record().models().isEmpty()) {
        newest.putIfAbsent(run.target(), run);
      }
    }
    for (Run run : newest.values()) {
      for (PageRecord.Model model : run.record().models()) {
        champions.add(new Champion(run.build(), run.page(), model));
      }
    }
    return champions;
  }

  public String word(String result) {
    return Words.of(result);
  }

  public String look(String result) {
    return Words.look(result);
  }

  public String moment(String utc) {
    return Words.moment(utc);
  }

  private List<Trend.Value> valuesOf(Series metric) {
    List<Trend.Value> values = new ArrayList<>();
    for (int at = 0; at < runs.size(); at++) {
      Run run = runs.get(at);
      if (!run.target().equals(metric.target())) {
        continue;
      }
      PageRecord.Metric found = metrics.get(at).get(metric.metric());
      Double number = found == null ? null : found.number();
      String shown = found == null ? "" : found.value();
      values.add(
          new Trend.Value(
              run.build(), run.page(), number, shown, run.record().result(), run.release()));
    }
    Collections.reverse(values);
    return values;
  }
}
