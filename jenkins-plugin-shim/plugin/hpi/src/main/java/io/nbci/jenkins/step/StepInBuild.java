package io.nbci.jenkins.step;

import hudson.AbortException;
import hudson.EnvVars;
import hudson.FilePath;
import hudson.Launcher;
import hudson.model.Run;
import hudson.model.TaskListener;
import hudson.slaves.WorkspaceList;
import io.nbci.jenkins.page.NotebookPage;
import io.nbci.jenkins.page.Pages;
import io.nbci.jenkins.parameters.ParameterLines;
import io.nbci.jenkins.settings.EffectiveSettings;
import io.nbci.jenkins.settings.NbciInstallation;
import io.nbci.jenkins.step.NotebookRun.StepFailed;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The step as one build runs it: values of the form with the build's variables in place. */
final class StepInBuild {
  /** nbci needs less than five seconds for a partial report; Jenkins asks every five. */
  private static final long PATIENCE_MILLIS = 15_000;

  private static final StepNumbers NUMBERS = new StepNumbers();

  private final NotebookBuilder step;
  private final Run<?, ?> run;
  private final FilePath workspace;
  private final EnvVars environment;
  private final Launcher launcher;
  private final TaskListener listener;
  private final EffectiveSettings settings;
  private final int number;
  private String typed;

  StepInBuild(
      NotebookBuilder step,
      Run<?, ?> run,
      FilePath workspace,
      EnvVars environment,
      Launcher launcher,
      TaskListener listener) {
    this.step = step;
    this.run = run;
    this.workspace = workspace;
    this.environment = environment;
    this.launcher = launcher;
    this.listener = listener;
    this.settings = EffectiveSettings.of(run.getParent());
    // by their folders, not by how many: of steps side by side the last may have ended first
    this.number =
        NUMBERS.next(run, Pages.of(run).stream().map(NotebookPage::getReport).toList());
  }

  void perform() throws IOException, InterruptedException {
    FilePath secretFolder = WorkspaceList.tempDir(workspace).child("nbci-secrets-" + number);
    try {
      carryOut(secretFolder);
    } catch (StepFailed e) {
      throw new AbortException(e.getMessage());
    } finally {
      if (typed != null) {
        TypedNotebook.release(workspace, typed);
      }
      if (!step.getSecrets().isEmpty()) {
        secretFolder.deleteRecursive();
      }
    }
  }

  private void carryOut(FilePath secretFolder)
      throws IOException, InterruptedException, StepFailed {
    EnvVars variables = new EnvVars(environment);
    List<String> masked = addSecrets(variables, secretFolder);
    settings.addTo(variables);
    variables.put("NBCI_REPORT_URL", reportUrl());

    MaskedOutput log = new MaskedOutput(listener.getLogger(), masked);
    WorkspaceAgent agent = new WorkspaceAgent(workspace, launcher, log);
    String artifacts = artifactFolder();
    JenkinsResults results = new JenkinsResults(run, workspace, launcher, listener, artifacts);
    RunCommand command = command();
    if (step.getTarget().isEmpty()) {
      agent.write(command.target(), TypedNotebook.text(step.getCells(), command.kernel()));
    }
    try {
      new NotebookRun(agent, results, PATIENCE_MILLIS).carryOut(command, variables);
    } finally {
      // what a process printed last may have no end of line
      log.forceEol();
    }
  }

  private List<String> addSecrets(Map<String, String> variables, FilePath secretFolder)
      throws IOException, InterruptedException, StepFailed {
    if (step.getSecrets().isEmpty()) {
      return List.of();
    }
    try {
      SecretValues values = new SecretValues(run, secretFolder);
      for (SecretBinding binding : step.getSecrets()) {
        values.add(binding);
      }
      variables.putAll(values.environment());
      return values.masked();
    } catch (NoClassDefFoundError e) {
      throw new StepFailed(Messages.StepInBuild_NoCredentialsPlugin());
    }
  }

  private RunCommand command() throws IOException, InterruptedException, StepFailed {
    Map<String, String> parameters;
    try {
      parameters = ParameterLines.parse(expand(step.getParameters()));
    } catch (IllegalArgumentException e) {
      throw new StepFailed(e.getMessage());
    }

    String target = expand(step.getTarget());
    String folder = expand(step.getFolder());
    if (target.isEmpty()) {
      if (step.getCells().isEmpty()) {
        throw new StepFailed(Messages.StepInBuild_NothingToRun());
      }
      typed = TypedNotebook.take(workspace, expand(step.getName()));
      target = typed;
      // what was typed belongs to no folder but the workspace
      folder = folder.isEmpty() ? "." : folder;
    }
    String runTimeout = expand(step.getRunTimeout());
    return new RunCommand(
        nbci(),
        target,
        ".nbci/build/" + artifactFolder(),
        parameters,
        expand(step.getKernel()),
        expand(step.getFrom()),
        expand(step.getUntil()),
        expand(step.getOnly()),
        folder,
        expand(step.getEnvironment()),
        runTimeout.isEmpty() ? settings.runTimeout() : runTimeout,
        expand(step.getCellTimeout()),
        step.isAdvisoryGates());
  }

  /** The step's own command, its installation's, or the one that counts for the job. */
  private String nbci() throws IOException, InterruptedException, StepFailed {
    String command = expand(step.getCommand());
    if (!command.isEmpty()) {
      return command;
    }
    String name = step.getInstallation();
    if (name.isEmpty()) {
      return expand(settings.command());
    }
    return NbciInstallation.named(name)
        .orElseThrow(() -> new StepFailed(Messages.StepInBuild_NoInstallation(name)))
        .forBuild(workspace, environment, listener)
        .commandOn(launcher.isUnix());
  }

  private String expand(String text) {
    return environment.expand(text);
  }

  private String artifactFolder() {
    return StepNumbers.folder(number);
  }

  /** Where the report will be, for what nbci writes about the build elsewhere. */
  private String reportUrl() {
    String build = environment.getOrDefault("BUILD_URL", "");
    return build.isEmpty() ? "" : build + "artifact/" + artifactFolder() + "/report/";
  }
}
