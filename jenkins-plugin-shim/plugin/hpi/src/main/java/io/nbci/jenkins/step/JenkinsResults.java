package io.nbci.jenkins.step;

import hudson.FilePath;
import hudson.Launcher;
import hudson.model.Result;
import hudson.model.Run;
import hudson.model.TaskListener;
import io.nbci.jenkins.page.PageKeeper;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import jenkins.util.BuildListenerAdapter;

/** A build of Jenkins. */
final class JenkinsResults implements BuildResults {
  private final Run<?, ?> run;
  private final FilePath workspace;
  private final Launcher launcher;
  private final TaskListener listener;
  private final String artifacts;

  /**
   * @param artifacts the folder among the build's artifacts; each step of a build has one of its own
   */
  JenkinsResults(
      Run<?, ?> run,
      FilePath workspace,
      Launcher launcher,
      TaskListener listener,
      String artifacts) {
    this.run = run;
    this.workspace = workspace;
    this.launcher = launcher;
    this.listener = listener;
    this.artifacts = artifacts;
  }

  @Override
  public String keepFiles(String resultFolder) throws IOException, InterruptedException {
    FilePath folder = workspace.child(resultFolder);
    int prefix = folder.getRemote().length() + 1;
    Map<String, String> files = new LinkedHashMap<>();
    for (FilePath file : folder.list("report/**,notebooks/**")) {
      String path = file.getRemote().substring(prefix).replace('\\', '/');
      files.put(artifacts + "/" + path, resultFolder + "/" + path);
    }
    run.pickArtifactManager()
        .archive(workspace, launcher, BuildListenerAdapter.wrap(listener), files);
    return "artifact/" + artifacts + "/report/";
  }

  @Override
  public void publishTests(String junitFile) throws IOException, InterruptedException {
    try {
      JUnitTests.publish(junitFile, run, workspace, launcher, listener);
    } catch (NoClassDefFoundError e) {
      log(Messages.JenkinsResults_NoJUnit());
    }
  }

  @Override
  public void showPage(String pageFile, String report) throws IOException, InterruptedException {
    PageKeeper.keep(run, workspace.child(pageFile), report, listener);
  }

  @Override
  public void describe(String line) throws IOException {
    // another branch of a pipeline may add a line at this moment
    synchronized (run) {
      String before = run.getDescription();
      run.setDescription(before == null || before.isEmpty() ? line : before + "; " + line);
    }
  }

  @Override
  public void markUnstable() {
    run.setResult(Result.UNSTABLE);
  }

  @Override
  public void log(String line) {
    listener.getLogger().println(line);
  }
}
