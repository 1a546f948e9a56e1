package io.nbci.jenkins.step;

import hudson.EnvVars;
import hudson.Extension;
import hudson.FilePath;
import hudson.Launcher;
import hudson.model.AbstractProject;
import hudson.model.Item;
import hudson.model.Items;
import hudson.model.Run;
import hudson.model.TaskListener;
import hudson.tasks.BuildStepDescriptor;
import hudson.tasks.Builder;
import hudson.util.ComboBoxModel;
import hudson.util.FormValidation;
import hudson.util.ListBoxModel;
import io.nbci.jenkins.parameters.ParameterLines;
import io.nbci.jenkins.settings.Duration;
import io.nbci.jenkins.settings.KernelChoices;
import io.nbci.jenkins.settings.NbciInstallation;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import jenkins.tasks.SimpleBuildStep;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.AncestorInPath;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.DataBoundSetter;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.verb.POST;

/**
 * The build step "Run a notebook".
 *
 * <p>Its fields are what jobs save. A job that another version of the plugin saved may lack some of
 * them: then they are null here, and their getters give what was never set.
 */
public final class NotebookBuilder extends Builder implements SimpleBuildStep {
  private String target;
  private List<NotebookCell> cells;
  private String name;
  private String kernel;
  private String parameters;
  private String from;
  private String until;
  private String only;
  private String folder;
  private String environment;
  private String installation;
  private String command;
  private List<SecretBinding> secrets;
  private String runTimeout;
  private String cellTimeout;
  private boolean advisoryGates;

  // The fields of the step of the machine-learning-plugin, IPythonBuilder: read, never written.
  private transient String code;
  private transient String filePath;
  private transient String parserType;
  private transient String task;
  private transient String kernelName;

  @DataBoundConstructor
  public NotebookBuilder() {}

  /** A notebook or a pipeline file, below the workspace; empty where cells are typed. */
  public String getTarget() {
    return orEmpty(target);
  }

  @DataBoundSetter
  public void setTarget(String target) {
    this.target = target;
  }

  /** Typed cells; they run where there is no target. */
  public List<NotebookCell> getCells() {
    return cells == null ? List.of() : List.copyOf(cells);
  }

  @DataBoundSetter
  public void setCells(List<NotebookCell> cells) {
    this.cells = saveable(cells);
  }

  /** What the notebook of typed cells is called. */
  public String getName() {
    return orEmpty(name);
  }

  @DataBoundSetter
  public void setName(String name) {
    this.name = name;
  }

  public String getKernel() {
    return orEmpty(kernel);
  }

  @DataBoundSetter
  public void setKernel(String kernel) {
    this.kernel = kernel;
  }

  /** A line {@code NAME=VALUE} each. */
  public String getParameters() {
    return orEmpty(parameters);
  }

  @DataBoundSetter
  public void setParameters(String parameters) {
    this.parameters = parameters;
  }

  public String getFrom() {
    return orEmpty(from);
  }

  @DataBoundSetter
  public void setFrom(String from) {
    this.from = from;
  }

  public String getUntil() {
    return orEmpty(until);
  }

  @DataBoundSetter
  public void setUntil(String until) {
    this.until = until;
  }

  public String getOnly() {
    return orEmpty(only);
  }

  @DataBoundSetter
  public void setOnly(String only) {
    this.only = only;
  }

  /** Where cells run, below the workspace; empty: in the folder of their notebook. */
  public String getFolder() {
    return orEmpty(folder);
  }

  @DataBoundSetter
  public void setFolder(String folder) {
    this.folder = folder;
  }

  /** A lock file; steps run in a Python environment that is made from it. */
  public String getEnvironment() {
    return orEmpty(environment);
  }

  @DataBoundSetter
  public void setEnvironment(String environment) {
    this.environment = environment;
  }

  /** The name of an installation among Jenkins' tools. */
  public String getInstallation() {
    return orEmpty(installation);
  }

  @DataBoundSetter
  public void setInstallation(String installation) {
    this.installation = installation;
  }

  /** nbci on the agent; stronger than the installation. */
  public String getCommand() {
    return orEmpty(command);
  }

  @DataBoundSetter
  public void setCommand(String command) {
    this.command = command;
  }

  public List<SecretBinding> getSecrets() {
    return secrets == null ? List.of() : List.copyOf(secrets);
  }

  @DataBoundSetter
  public void setSecrets(List<SecretBinding> secrets) {
    this.secrets = saveable(secrets);
  }

  /** A length of time such as {@code 2h}. */
  public String getRunTimeout() {
    return orEmpty(runTimeout);
  }

  @DataBoundSetter
  public void setRunTimeout(String runTimeout) {
    this.runTimeout = runTimeout;
  }

  /** A length of time such as {@code 20m}. */
  public String getCellTimeout() {
    return orEmpty(cellTimeout);
  }

  @DataBoundSetter
  public void setCellTimeout(String cellTimeout) {
    this.cellTimeout = cellTimeout;
  }

  /** Whether gates only tell what they would refuse. */
  public boolean isAdvisoryGates() {
    return advisoryGates;
  }

  @DataBoundSetter
  public void setAdvisoryGates(boolean advisoryGates) {
    this.advisoryGates = advisoryGates;
  }

  /** A kind of list that XStream writes as a plain one. */
  private static <T> List<T> saveable(List<T> list) {
    return list == null ? null : new ArrayList<>(list);
  }

  private static String orEmpty(String text) {
    return text == null ? "" : text.strip();
  }

  /** Called by XStream when a job was read. */
  Object readResolve() {
    OldStep old = new OldStep(code, filePath, parserType, task, kernelName);
    if (old.isThere()) {
      old.fill(this);
    }
    return this;
  }

  @Override
  public void perform(
      Run<?, ?> run,
      FilePath workspace,
      EnvVars environment,
      Launcher launcher,
      TaskListener listener)
      throws InterruptedException, IOException {
    new StepInBuild(this, run, workspace, environment, launcher, listener).perform();
  }

  /** The form of the step, and who may ask what it asks. */
  @Extension
  @Symbol("nbciNotebook")
  public static final class DescriptorImpl extends BuildStepDescriptor<Builder> {
    /** Registers the alias before Jenkins reads its jobs. */
    public DescriptorImpl() {
      Items.XSTREAM2.addCompatibilityAlias(OldStep.CLASS_NAME, NotebookBuilder.class);
    }

    @Override
    public String getDisplayName() {
      return Messages.NotebookBuilder_DisplayName();
    }

    @Override
    @SuppressWarnings("rawtypes")
    public boolean isApplicable(Class<? extends AbstractProject> type) {
      return true;
    }

    @POST
    public FormValidation doCheckTarget(@AncestorInPath Item item, @QueryParameter String value)
        throws IOException, InterruptedException {
      Forms.checkConfigure(item);
      FilePath workspace = item instanceof AbstractProject<?, ?> job ? job.getSomeWorkspace() : null;
      return TargetCheck.of(value, path -> workspace == null || workspace.child(path).exists());
    }

    @POST
    public FormValidation doCheckParameters(
        @AncestorInPath Item item, @QueryParameter String value) {
      Forms.checkConfigure(item);
      try {
        ParameterLines.parse(value);
        return FormValidation.ok();
      } catch (IllegalArgumentException e) {
        return FormValidation.error(e.getMessage());
      }
    }

    @POST
    public FormValidation doCheckRunTimeout(
        @AncestorInPath Item item, @QueryParameter String value) {
      Forms.checkConfigure(item);
      return Duration.check(value);
    }

    @POST
    public FormValidation doCheckCellTimeout(
        @AncestorInPath Item item, @QueryParameter String value) {
      Forms.checkConfigure(item);
      return Duration.check(value);
    }

    /** The kernels of an agent that the job may run on. */
    @POST
    public ComboBoxModel doFillKernelItems(
        @AncestorInPath Item item, @QueryParameter String command) {
      Forms.checkConfigure(item);
      return new ComboBoxModel(KernelChoices.forItem(item, orEmpty(command)));
    }

    @POST
    public ListBoxModel doFillInstallationItems(@AncestorInPath Item item) {
      Forms.checkConfigure(item);
      ListBoxModel items = new ListBoxModel();
      items.add(Messages.NotebookBuilder_NoInstallation(), "");
      for (NbciInstallation found : NbciInstallation.all()) {
        items.add(found.getName(), found.getName());
      }
      return items;
    }
  }
}
