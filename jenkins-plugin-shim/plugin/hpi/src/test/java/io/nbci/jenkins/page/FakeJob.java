package io.nbci.jenkins.page;

import hudson.model.ItemGroup;
import hudson.model.Job;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A job that has its builds in a folder. */
final class FakeJob extends Job<FakeJob, FakeRun> {
  private final List<FakeRun> builds = new ArrayList<>();
  private final Path folder;

  FakeJob(Path folder) {
    this.folder = folder;
  }

  /** Begins another build. */
  FakeRun build() {
    File build = folder.resolve(String.valueOf(builds.size() + 1)).toFile();
    if (!build.mkdirs()) {
      throw new AssertionError("there already: " + build);
    }
    FakeRun run = new FakeRun(this, builds.size() + 1, build);
    builds.add(run);
    return run;
  }

  FakeRun before(FakeRun run) {
    return run.getNumber() == 1 ? null : builds.get(run.getNumber() - 2);
  }

  @Override
  public FakeRun getLastBuild() {
    return builds.isEmpty() ? null : builds.get(builds.size() - 1);
  }

  @Override
  public FakeRun getLastCompletedBuild() {
    return getLastBuild();
  }

  @Override
  public FakeRun getLastSuccessfulBuild() {
    return getLastBuild();
  }

  @Override
  public ItemGroup<?> getParent() {
    return null;
  }

  @Override
  public String getFullName() {
    return "churn";
  }

  @Override
  public String getDisplayName() {
    return "churn";
  }

  public String getFullDisplayName() {
    return "churn";
  }
}
