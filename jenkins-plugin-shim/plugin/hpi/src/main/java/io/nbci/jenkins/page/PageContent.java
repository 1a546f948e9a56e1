package io.nbci.jenkins.page;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A build's page as its views show it: what nbci said, or why that cannot be read. */
public final class PageContent {
  private static final int LONGEST_BADGE = 40;
  private static final int LONGEST_LINE = 300;
  private static final int MOST_REASONS = 3;

  private final PageRecord record;
  private final String problem;
  private final String report;

  private PageContent(PageRecord record, String problem, String report) {
    this.record = record;
    this.problem = problem;
    this.report = report;
  }

  /**
   * A page that can be read.
   *
   * @param report where the report is below the controller's address; empty: there is none
   */
  static PageContent of(PageRecord record, String report) {
    return new PageContent(record, "", report);
  }

  static PageContent unreadable(UnreadablePage reason) {
    return new PageContent(null, Messages.Page_Unreadable(reason.getMessage()), "");
  }

  public boolean isReadable() {
    return record != null;
  }

  /** Why the page cannot be read. */
  public String getProblem() {
    return problem;
  }

  public PageRecord getRecord() {
    return record;
  }

  /** Returns the address of a place of the report below the controller's; empty: no link. */
  public String href(String link) {
    return report.isEmpty() || link.isEmpty() ? "" : report + link;
  }

  public String word(String result) {
    return Words.of(result);
  }

  public String look(String result) {
    return Words.look(result);
  }

  /** The headline for the front page of the build, where other things stand beside it. */
  public String getHeadline() {
    return Words.shortened(record.headline(), LONGEST_LINE);
  }

  /** What failed and what refused the run, the first of each, as lines for the same place. */
  public List<String> getReasons() {
    List<String> reasons = new ArrayList<>();
    record.failures().stream()
        .limit(MOST_REASONS)
        .forEach(failure -> reasons.add(joined(": ", failure.step(), failure.message())));
    record.gates().stream()
        .filter(gate -> gate.result().equals("refused"))
        .limit(MOST_REASONS)
        .forEach(
            gate ->
                reasons.add(joined(": ", gate.gate(), joined(", ", gate.value(), gate.margin()))));
    return reasons.stream().map(reason -> Words.shortened(reason, LONGEST_LINE)).toList();
  }

  public String moment(String utc) {
    return Words.moment(utc);
  }

  /** The run in a few words, for the history. */
  public String getBadgeText() {
    return Words.shortened(record.badge().text(), LONGEST_BADGE);
  }

  /** Jenkins' class for the colour of the chip in the history. */
  public String getBadgeColor() {
    return switch (Words.look(record.badge().kind())) {
      case "good" -> "jenkins-!-success-color";
      case "bad" -> "jenkins-!-error-color";
      default -> "";
    };
  }

  /** How many gates gave which answer, such as "3 passed, 1 refused"; empty without gates. */
  public String getGateCounts() {
    Map<String, Integer> counts = new LinkedHashMap<>();
    for (PageRecord.Gate gate : record.gates()) {
      counts.merge(gate.result(), 1, Integer::sum);
    }
    List<String> parts = new ArrayList<>();
    counts.forEach((result, count) -> parts.add(count + " " + Words.of(result)));
    return String.join(", ", parts);
  }

  private static String joined(String between, String first, String second) {
    return first.isEmpty() || second.isEmpty() ? first + second : first + between + second;
  }
}
