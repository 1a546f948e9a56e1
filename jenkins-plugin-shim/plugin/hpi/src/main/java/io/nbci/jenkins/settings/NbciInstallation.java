package io.nbci.jenkins.settings;

import hudson.EnvVars;
import hudson.Extension;
import hudson.FilePath;
import hudson.model.Computer;
import hudson.model.EnvironmentSpecific;
import hudson.model.Node;
import hudson.model.TaskListener;
import hudson.slaves.NodeSpecific;
import hudson.tools.ToolDescriptor;
import hudson.tools.ToolInstallation;
import hudson.tools.ToolProperty;
import hudson.util.FormValidation;
import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import jenkins.model.Jenkins;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.verb.POST;

/**
 * An nbci that jobs choose by its name, and that may be somewhere else on each agent.
 *
 * <p>Its home is a folder with {@code bin/nbci}, or the command itself.
 */
public class NbciInstallation extends ToolInstallation
    implements NodeSpecific<NbciInstallation>, EnvironmentSpecific<NbciInstallation> {
  private static final long serialVersionUID = 1L;

  @DataBoundConstructor
  public NbciInstallation(String name, String home, List<? extends ToolProperty<?>> properties) {
    super(name, home, properties);
  }

  /** The installation of that name; none where no such name is configured. */
  public static Optional<NbciInstallation> named(String name) {
    return all().stream().filter(found -> found.getName().equals(name)).findFirst();
  }

  /** What is configured, in the order of the form. */
  public static List<NbciInstallation> all() {
    DescriptorImpl descriptor = Jenkins.get().getDescriptorByType(DescriptorImpl.class);
    return Arrays.asList(descriptor.getInstallations());
  }

  /** The program to start; call it on what {@link #forNode} and {@link #forEnvironment} gave. */
  public String commandOn(boolean unix) {
    return new NbciHome(getHome()).command(unix);
  }

  /** The installation as a build in that workspace finds it. */
  public NbciInstallation forBuild(
      FilePath workspace, EnvVars environment, TaskListener listener)
      throws IOException, InterruptedException {
    Computer computer = workspace.toComputer();
    Node node = computer == null ? null : computer.getNode();
    // an agent may be removed while a build still runs on it
    NbciInstallation here = node == null ? this : forNode(node, listener);
    return here.forEnvironment(environment);
  }

  @Override
  public NbciInstallation forNode(Node node, TaskListener listener)
      throws IOException, InterruptedException {
    return new NbciInstallation(getName(), translateFor(node, listener), List.of());
  }

  @Override
  public NbciInstallation forEnvironment(EnvVars environment) {
    String home = getHome();
    String expanded = home == null ? null : environment.expand(home);
    return new NbciInstallation(getName(), expanded, List.of());
  }

  /** For {@code tools { nbci 'name' }} of a declarative pipeline: the command is on the PATH. */
  @Override
  public void buildEnvVars(EnvVars environment) {
    String folder = new NbciHome(getHome()).commandsFolder();
    if (!folder.isEmpty()) {
      environment.put("PATH+NBCI", folder);
    }
  }

  /** The list of installations, saved by itself because the form of tools does not. */
  @Extension
  @Symbol("nbci")
  public static class DescriptorImpl extends ToolDescriptor<NbciInstallation> {
    public DescriptorImpl() {
      load();
    }

    @Override
    public String getDisplayName() {
      return Messages.NbciInstallation_displayName();
    }

    @Override
    public void setInstallations(NbciInstallation... installations) {
      super.setInstallations(installations);
      save();
    }

    /** Unlike Jenkins' own check, looks at no disk: the home is on agents. */
    @Override
    @POST
    public FormValidation doCheckHome(@QueryParameter File value) {
      Jenkins.get().checkPermission(Jenkins.ADMINISTER);
      return FieldChecks.home(value == null ? "" : value.getPath()).toFormValidation();
    }

    @Override
    @POST
    public FormValidation doCheckName(@QueryParameter String value) {
      Jenkins.get().checkPermission(Jenkins.ADMINISTER);
      return super.doCheckName(value);
    }
  }
}
