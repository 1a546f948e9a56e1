package io.nbci.jenkins.page;

import hudson.model.Action;
import hudson.model.Job;
import hudson.model.Run;
import java.util.ArrayList;
import java.util.List;

/** A page of a job: where its models are, and how the metrics went from build to build. */
public final class JobPage implements Action {
  /** How many builds are looked at: what a reader has not asked for is not loaded. */
  static final int USUAL_BUILDS = 50;

  static final int MOST_BUILDS = 500;
  private static final int BUILDS_OF_BOX = 30;

  private final Job<?, ?> job;

  JobPage(Job<?, ?> job) {
    this.job = job;
  }

  public Job<?, ?> getJob() {
    return job;
  }

  @Override
  public String getIconFileName() {
    return NotebookPage.ICON;
  }

  @Override
  public String getDisplayName() {
    return Messages.Page_Name();
  }

  @Override
  public String getUrlName() {
    return "notebook";
  }

  /**
   * Returns the trends over the newest builds.
   *
   * @param count how many builds, as the address of the page has it; null or no number: the usual
   */
  public JobTrends trends(String count) {
    return trendsOf(buildsToShow(count));
  }

  /** The chart for the job's front page: the first metric's; null while there is no line. */
  public Trend getBoxTrend() {
    for (Trend trend : trendsOf(BUILDS_OF_BOX).getCharts()) {
      if (!trend.getLines().isEmpty()) {
        return trend;
      }
    }
    return null;
  }

  static int buildsToShow(String count) {
    if (count == null || !count.matches("[1-9][0-9]{0,5}")) {
      return USUAL_BUILDS;
    }
    return Math.min(MOST_BUILDS, Integer.parseInt(count));
  }

  private JobTrends trendsOf(int builds) {
    List<JobTrends.Run> found = new ArrayList<>();
    for (Run<?, ?> run : Pages.newestBuilds(job, builds)) {
      for (NotebookPage page : Pages.of(run)) {
        String address = run.getNumber() + "/" + page.getUrlName() + "/";
        page.record()
            .ifPresent(record -> found.add(new JobTrends.Run(run.getNumber(), address, record)));
      }
    }
    return new JobTrends(found);
  }
}
