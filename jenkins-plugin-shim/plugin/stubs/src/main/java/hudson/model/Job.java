package hudson.model;

import hudson.util.RunList;
import io.nbci.jenkins.stubs.Stub;

public abstract class Job<J extends Job<J, R>, R extends Run<J, R>> extends AbstractItem {
  public R getLastBuild() {
    throw Stub.called();
  }

  public R getLastSuccessfulBuild() {
    throw Stub.called();
  }

  public R getLastCompletedBuild() {
    throw Stub.called();
  }

  public RunList<R> getBuilds() {
    throw Stub.called();
  }
}
