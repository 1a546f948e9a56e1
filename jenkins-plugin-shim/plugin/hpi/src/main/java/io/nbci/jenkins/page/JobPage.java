package io.nbci.jenkins.page;

import hudson.model.Action;
import hudson.model.Job;
import hudson.model.Run;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;

/** A page of a job: where its models are, and how the metrics went from build to build. */
public final class JobPage implements Action {
  /** A reader may ask for more builds than usual: each may cost a read of two files. */
  private static final int MOST_BUILDS = 500;
  private static final int BUILDS_OF_BOX = 30;

  private final Job<?, ?> job;
  private final IntSupplier usualBuilds;

  /** Makes the page; how many builds it looks at is asked for only when somebody looks at it. */
  JobPage(Job<?, ?> job, IntSupplier usualBuilds) {
    this.job = job;
    this.usualBuilds = usualBuilds;
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

  public int getUsualBuilds() {
    return usualBuilds.getAsInt();
  }

  public int getManyBuilds() {
    return Math.min(MOST_BUILDS, 4 * getUsualBuilds());
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

  int buildsToShow(String count) {
    if (count == null || !count.matches("[1-9][0-9]{0,5}")) {
      return getUsualBuilds();
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
