package io.nbci.jenkins.page;

import hudson.model.Action;
import hudson.model.Job;
import hudson.model.Run;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/** Finds the pages of builds. */
public final class Pages {
  /** Older builds are not loaded to find one: each may cost a read of a file. */
  private static final int BUILDS_LOOKED_AT = 20;

  private Pages() {}

  /** Returns the pages of a build in the order in which they were handed over. */
  @SuppressWarnings("deprecation")
  public static List<NotebookPage> of(Run<?, ?> run) {
    List<NotebookPage> found = new ArrayList<>();
    // Not getActions(type): that asks the factories, ours among them, which ask for the pages.
    for (Action action : run.getActions()) {
      if (action instanceof NotebookPage page) {
        found.add(page);
      }
    }
    return Collections.unmodifiableList(found);
  }

  /** Returns the newest builds of a job, the newest first. */
  static List<Run<?, ?>> newestBuilds(Job<?, ?> job, int count) {
    List<Run<?, ?>> found = new ArrayList<>();
    Run<?, ?> run = job.getLastBuild();
    while (run != null && found.size() < count) {
      found.add(run);
      run = run.getPreviousBuild();
    }
    return found;
  }

  /**
   * Returns what the newest build that says which parameters its pipeline has says of its run.
   *
   * @param target the notebook or pipeline file that it must be a run of; empty: any
   */
  public static Optional<PageRecord> newestWithParameters(Job<?, ?> job, String target) {
    for (Run<?, ?> run : newestBuilds(job, BUILDS_LOOKED_AT)) {
      for (NotebookPage page : of(run)) {
        Optional<PageRecord> record = page.record().filter(found -> asks(found, target));
        if (record.isPresent()) {
          return record;
        }
      }
    }
    return Optional.empty();
  }

  private static boolean asks(PageRecord record, String target) {
    if (record.parameters().isEmpty()) {
      return false;
    }
    return target.isEmpty() || plain(record.target()).equals(plain(target));
  }

  private static String plain(String target) {
    String path = target.strip();
    return path.startsWith("./") ? path.substring(2) : path;
  }
}
