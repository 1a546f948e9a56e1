package io.nbci.jenkins.settings;

import hudson.Extension;
import hudson.ExtensionList;
import hudson.model.Descriptor;
import hudson.util.FormValidation;
import hudson.util.ListBoxModel;
import java.util.function.Consumer;
import java.util.function.Function;
import jenkins.model.GlobalConfiguration;
import jenkins.model.Jenkins;
import net.sf.json.JSONObject;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.DataBoundSetter;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.StaplerRequest2;
import org.kohsuke.stapler.verb.POST;

/**
 * What holds for all jobs of a controller: by the form, or {@code unclassified: nbci:} of JCasC.
 *
 * <p>There is no token and no password here: what is set here is shown to whoever may see the
 * settings. The names of the fields are those of the stored file and stay as they are. A field that
 * is null has never been set.
 */
@Extension
@Symbol("nbci")
public class NbciSettings extends GlobalConfiguration {
  static final Bounds PAGE_KILOBYTES = new Bounds(16, 1024, 16384);
  static final Bounds TREND_BUILDS = new Bounds(2, 50, 500);
  private static final String DEFAULT_COMMAND = "nbci";

  private String command;
  private String storeRemote;
  private String runTimeout;
  private Integer maximumPageKilobytes;
  private Integer trendBuilds;

  public NbciSettings() {
    load();
  }

  /** The settings of this controller. */
  public static NbciSettings get() {
    return ExtensionList.lookupSingleton(NbciSettings.class);
  }

  @Override
  public String getDisplayName() {
    return Messages.NbciSettings_displayName();
  }

  /** The program that jobs start which name none. */
  public String getCommand() {
    return orElse(command, DEFAULT_COMMAND);
  }

  /** Sets the program; nothing is the usual one. */
  @DataBoundSetter
  public void setCommand(String command) {
    change(command, FieldChecks::command, text -> this.command = text);
  }

  /** The DVC remote, by name or URL, through which builds share results; empty: the project's. */
  public String getStoreRemote() {
    return orElse(storeRemote, "");
  }

  /** Sets the remote; nothing leaves it to each project. */
  @DataBoundSetter
  public void setStoreRemote(String storeRemote) {
    change(storeRemote, FieldChecks::storeRemote, text -> this.storeRemote = text);
  }

  /** The longest that a run may take, as nbci writes durations; empty: as long as it takes. */
  public String getRunTimeout() {
    return orElse(runTimeout, "");
  }

  /** Sets the limit of a run. */
  @DataBoundSetter
  public void setRunTimeout(String runTimeout) {
    change(runTimeout, FieldChecks::runTimeout, text -> this.runTimeout = text);
  }

  /** The most that a build may hand over for its page. */
  public int getMaximumPageKilobytes() {
    return PAGE_KILOBYTES.setting(maximumPageKilobytes);
  }

  /** Sets the most; what lies outside the bounds becomes the nearest that does not. */
  @DataBoundSetter
  public void setMaximumPageKilobytes(int kilobytes) {
    this.maximumPageKilobytes = PAGE_KILOBYTES.setting(kilobytes);
    save();
  }

  /** The builds that the trend on a job's page looks at. */
  public int getTrendBuilds() {
    return TREND_BUILDS.setting(trendBuilds);
  }

  /** Sets their number; what lies outside the bounds becomes the nearest that does not. */
  @DataBoundSetter
  public void setTrendBuilds(int builds) {
    this.trendBuilds = TREND_BUILDS.setting(builds);
    save();
  }

  /** As Jenkins does it; a refused text is shown as a mistake of the form, not as a failure. */
  @Override
  public boolean configure(StaplerRequest2 request, JSONObject json)
      throws Descriptor.FormException {
    try {
      request.bindJSON(this, json);
    } catch (IllegalArgumentException e) {
      throw new Descriptor.FormException(e.getMessage(), "command");
    }
    return true;
  }

  @POST
  public FormValidation doCheckCommand(@QueryParameter String value) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    return FieldChecks.command(orElse(value, "")).toFormValidation();
  }

  @POST
  public FormValidation doCheckStoreRemote(@QueryParameter String value) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    return FieldChecks.storeRemote(orElse(value, "")).toFormValidation();
  }

  @POST
  public FormValidation doCheckRunTimeout(@QueryParameter String value) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    return FieldChecks.runTimeout(orElse(value, "")).toFormValidation();
  }

  @POST
  public FormValidation doCheckMaximumPageKilobytes(@QueryParameter String value) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    return FieldChecks.number(orElse(value, ""), PAGE_KILOBYTES).toFormValidation();
  }

  @POST
  public FormValidation doCheckTrendBuilds(@QueryParameter String value) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    return FieldChecks.number(orElse(value, ""), TREND_BUILDS).toFormValidation();
  }

  /** The agents that can be asked now. */
  @POST
  public ListBoxModel doFillAgentItems() {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    ListBoxModel items = new ListBoxModel();
    for (OnlineNode node : OnlineNode.all()) {
      items.add(node.displayName(), node.name());
    }
    return items;
  }

  /** Asks the agent what it has, now: whoever presses the button has just changed something. */
  @POST
  public FormValidation doTest(@QueryParameter String agent, @QueryParameter String command) {
    Jenkins.get().checkPermission(Jenkins.ADMINISTER);
    FieldCheck check = FieldChecks.command(orElse(command, ""));
    if (check.severity() == FieldCheck.Severity.ERROR) {
      return check.toFormValidation();
    }
    String program = orElse(command, getCommand());
    return AgentProbe.askNow(orElse(agent, ""), program).toFormValidation();
  }

  private void change(
      String text, Function<String, FieldCheck> check, Consumer<String> field) {
    String stripped = text == null ? "" : text.strip();
    check.apply(stripped).refuseErrors();
    field.accept(stripped.isEmpty() ? null : stripped);
    save();
  }

  private static String orElse(String text, String standard) {
    return text == null || text.isBlank() ? standard : text.strip();
  }
}
