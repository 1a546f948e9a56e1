package io.nbci.jenkins.page;

import hudson.AbortException;
import hudson.EnvVars;
import hudson.Extension;
import hudson.FilePath;
import hudson.Launcher;
import hudson.model.AbstractProject;
import hudson.model.Run;
import hudson.model.TaskListener;
import hudson.tasks.BuildStepDescriptor;
import hudson.tasks.Builder;
import java.io.IOException;
import jenkins.tasks.SimpleBuildStep;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.DataBoundConstructor;

/** The step `nbciPage`: hands a page.json over that nbci has written in the workspace. */
public final class PageStep extends Builder implements SimpleBuildStep {
  private final String file;
  private final String report;

  @DataBoundConstructor
  public PageStep(String file, String report) {
    this.file = file;
    this.report = report;
  }

  /** The page.json, relative to the workspace. */
  public String getFile() {
    return file == null ? "" : file;
  }

  /** Where the report is below the build's address; empty: nowhere. */
  public String getReport() {
    return report == null ? "" : report;
  }

  @Override
  public void perform(
      Run<?, ?> run, FilePath workspace, EnvVars env, Launcher launcher, TaskListener listener)
      throws InterruptedException, IOException {
    // Another path could be one of the controller, for a build that runs there.
    if (!WorkspacePath.isBelow(getFile())) {
      throw new AbortException(Messages.PageStep_OutsideWorkspace(getFile()));
    }
    PageKeeper.keep(run, workspace.child(getFile()), getReport(), listener);
  }

  /** Names the step; it is for every kind of job. */
  @Extension
  @Symbol("nbciPage")
  public static final class DescriptorImpl extends BuildStepDescriptor<Builder> {
    @Override
    public String getDisplayName() {
      return Messages.PageStep_Name();
    }

    @Override
    @SuppressWarnings("rawtypes")
    public boolean isApplicable(Class<? extends AbstractProject> type) {
      return true;
    }
  }
}
