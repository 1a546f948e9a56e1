package io.nbci.jenkins.page;

import hudson.model.Action;
import hudson.model.Run;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import jenkins.model.RunAction2;

/** A build in a folder; it counts how often it was loaded and saved. */
final class FakeRun extends Run<FakeJob, FakeRun> {
  int visits;
  int saves;

  private final FakeJob job;
  private final int number;
  private final File folder;
  private final List<Action> actions = new ArrayList<>();

  FakeRun(FakeJob job, int number, File folder) {
    this.job = job;
    this.number = number;
    this.folder = folder;
  }

  @Override
  public int getNumber() {
    return number;
  }

  @Override
  public File getRootDir() {
    return folder;
  }

  @Override
  public String getUrl() {
    return "job/churn/" + number + "/";
  }

  @Override
  public String getFullDisplayName() {
    return "churn #" + number;
  }

  @Override
  public FakeRun getPreviousBuild() {
    return job.before(this);
  }

  @Override
  @Deprecated
  public List<Action> getActions() {
    visits++;
    return actions;
  }

  @Override
  public void addAction(Action action) {
    actions.add(action);
    if (action instanceof RunAction2 attached) {
      attached.onAttached(this);
    }
  }

  @Override
  public synchronized void save() {
    saves++;
  }
}
