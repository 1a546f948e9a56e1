package io.nbci.jenkins.page;

import hudson.Extension;
import hudson.model.Action;
import hudson.model.Job;
import hudson.model.Run;
import io.nbci.jenkins.settings.NbciSettings;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import jenkins.model.TransientActionFactory;

/** Offers the page of a job where one of its builds has a page. */
@Extension
@SuppressWarnings("rawtypes")
public final class JobPageFactory extends TransientActionFactory<Job> {
  @Override
  public Class<Job> type() {
    return Job.class;
  }

  @Override
  public Class<? extends Action> actionType() {
    return JobPage.class;
  }

  /** Looks only at builds that Jenkins itself loads for the job: this is called for each view. */
  @Override
  public Collection<? extends Action> createFor(Job target) {
    Job<?, ?> job = (Job<?, ?>) target;
    boolean hasPage =
        Stream.<Run<?, ?>>of(
                job.getLastBuild(), job.getLastCompletedBuild(), job.getLastSuccessfulBuild())
            .anyMatch(run -> run != null && !Pages.of(run).isEmpty());
    if (!hasPage) {
      return List.of();
    }
    return List.of(new JobPage(job, () -> NbciSettings.get().getTrendBuilds()));
  }
}
