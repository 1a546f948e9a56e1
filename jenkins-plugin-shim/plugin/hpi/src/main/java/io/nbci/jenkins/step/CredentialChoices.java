package io.nbci.jenkins.step;

import com.cloudbees.plugins.credentials.common.StandardCredentials;
import com.cloudbees.plugins.credentials.common.StandardListBoxModel;
import hudson.model.Item;
import hudson.security.ACL;
import hudson.util.ListBoxModel;

/** The credentials that a job may use. Needs the Credentials plugin. */
final class CredentialChoices {
  private CredentialChoices() {}

  static ListBoxModel forItem(Item item, String current) {
    return new StandardListBoxModel()
        .includeEmptyValue()
        .includeAs(ACL.SYSTEM2, item, StandardCredentials.class)
        .includeCurrentValue(current);
  }
}
