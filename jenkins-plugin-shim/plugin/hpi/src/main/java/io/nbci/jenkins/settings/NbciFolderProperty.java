package io.nbci.jenkins.settings;

import com.cloudbees.hudson.plugins.folder.AbstractFolder;
import com.cloudbees.hudson.plugins.folder.AbstractFolderProperty;
import com.cloudbees.hudson.plugins.folder.AbstractFolderPropertyDescriptor;
import hudson.Extension;
import hudson.model.Item;
import hudson.model.ItemGroup;
import hudson.util.FormValidation;
import java.util.Optional;
import jenkins.model.Jenkins;
import net.sf.json.JSONObject;
import org.jenkinsci.Symbol;
import org.kohsuke.stapler.AncestorInPath;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.DataBoundSetter;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.StaplerRequest2;
import org.kohsuke.stapler.verb.POST;

/**
 * The settings of a folder, for all jobs in it; stored with the folder.
 *
 * <p>It is touched only by {@link EffectiveSettings}, because the Folders plugin may be missing.
 */
public class NbciFolderProperty extends AbstractFolderProperty<AbstractFolder<?>> {
  private String command;
  private String storeRemote;

  @DataBoundConstructor
  public NbciFolderProperty() {}

  /** What a folder sets; none where it sets nothing, or is none. */
  static Optional<FolderValues> valuesOf(ItemGroup<?> group) {
    if (!(group instanceof AbstractFolder<?> folder)) {
      return Optional.empty();
    }
    NbciFolderProperty found = folder.getProperties().get(NbciFolderProperty.class);
    return Optional.ofNullable(found).map(NbciFolderProperty::values);
  }

  boolean isEmpty() {
    return getCommand().isEmpty() && getStoreRemote().isEmpty();
  }

  FolderValues values() {
    return new FolderValues(getCommand(), getStoreRemote());
  }

  /** The program; empty: that of the folder above, or of the controller. */
  public String getCommand() {
    return orNothing(command);
  }

  /** Sets the program. */
  @DataBoundSetter
  public void setCommand(String command) {
    FieldChecks.command(orNothing(command)).refuseErrors();
    this.command = orNothing(command);
  }

  /** The DVC remote; empty: that of the folder above, of the controller, or of the project. */
  public String getStoreRemote() {
    return orNothing(storeRemote);
  }

  /** Sets the remote. */
  @DataBoundSetter
  public void setStoreRemote(String storeRemote) {
    FieldChecks.storeRemote(orNothing(storeRemote)).refuseErrors();
    this.storeRemote = orNothing(storeRemote);
  }

  private static String orNothing(String text) {
    return text == null ? "" : text.strip();
  }

  /** Optional, as the Folders plugin is. */
  @Extension(optional = true)
  @Symbol("nbci")
  public static class DescriptorImpl extends AbstractFolderPropertyDescriptor {
    @Override
    public String getDisplayName() {
      return Messages.NbciFolderProperty_displayName();
    }

    /** A folder that sets nothing holds nothing of this plugin. */
    @Override
    public AbstractFolderProperty<?> newInstance(StaplerRequest2 request, JSONObject form)
        throws FormException {
      AbstractFolderProperty<?> made = super.newInstance(request, form);
      boolean isEmpty = made instanceof NbciFolderProperty property && property.isEmpty();
      return isEmpty ? null : made;
    }

    @POST
    public FormValidation doCheckCommand(
        @AncestorInPath Item item, @QueryParameter String value) {
      checkMayConfigure(item);
      return FieldChecks.command(orNothing(value)).toFormValidation();
    }

    @POST
    public FormValidation doCheckStoreRemote(
        @AncestorInPath Item item, @QueryParameter String value) {
      checkMayConfigure(item);
      return FieldChecks.storeRemote(orNothing(value)).toFormValidation();
    }

    private static void checkMayConfigure(Item folder) {
      if (folder == null) {
        Jenkins.get().checkPermission(Jenkins.ADMINISTER);
      } else {
        folder.checkPermission(Item.CONFIGURE);
      }
    }
  }
}
