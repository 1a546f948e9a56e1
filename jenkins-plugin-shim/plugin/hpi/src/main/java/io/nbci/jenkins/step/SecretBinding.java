package io.nbci.jenkins.step;

import hudson.Extension;
import hudson.model.AbstractDescribableImpl;
import hudson.model.Descriptor;
import hudson.model.Item;
import hudson.util.FormValidation;
import hudson.util.ListBoxModel;
import io.nbci.jenkins.parameters.ParameterLines;
import java.io.Serializable;
import org.kohsuke.stapler.AncestorInPath;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.QueryParameter;
import org.kohsuke.stapler.verb.POST;

/** Credentials of Jenkins that a notebook reads as a secret: an environment variable. */
public final class SecretBinding extends AbstractDescribableImpl<SecretBinding>
    implements Serializable {
  private static final long serialVersionUID = 1L;

  private final String secret;
  private final String credentialsId;

  @DataBoundConstructor
  public SecretBinding(String secret, String credentialsId) {
    this.secret = secret;
    this.credentialsId = credentialsId;
  }

  /** The name that the pipeline gives it, in {@code secrets: [NAME]} or {@code secret:NAME}. */
  public String getSecret() {
    return secret == null ? "" : secret;
  }

  public String getCredentialsId() {
    return credentialsId == null ? "" : credentialsId;
  }

  /** Offers the credentials that the job may use. */
  @Extension
  public static final class DescriptorImpl extends Descriptor<SecretBinding> {
    @Override
    public String getDisplayName() {
      return Messages.SecretBinding_DisplayName();
    }

    @POST
    public FormValidation doCheckSecret(@AncestorInPath Item item, @QueryParameter String value) {
      Forms.checkConfigure(item);
      if (ParameterLines.isName(value)) {
        return FormValidation.ok();
      }
      return FormValidation.error(Messages.SecretBinding_NoName());
    }

    @POST
    public FormValidation doCheckCredentialsId(
        @AncestorInPath Item item, @QueryParameter String value) {
      Forms.checkConfigure(item);
      if (value.isEmpty()) {
        return FormValidation.error(Messages.SecretBinding_NoCredentials());
      }
      return FormValidation.ok();
    }

    @POST
    public ListBoxModel doFillCredentialsIdItems(
        @AncestorInPath Item item, @QueryParameter String credentialsId) {
      Forms.checkConfigure(item);
      try {
        return CredentialChoices.forItem(item, credentialsId);
      } catch (NoClassDefFoundError e) {
        // Jenkins has no Credentials plugin: there is nothing to choose
        return new ListBoxModel();
      }
    }
  }
}
