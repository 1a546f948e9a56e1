package com.cloudbees.plugins.credentials.common;

import hudson.model.Item;
import hudson.util.ListBoxModel;
import io.nbci.jenkins.stubs.Stub;
import org.springframework.security.core.Authentication;

public abstract class AbstractIdCredentialsListBoxModel<
        T extends AbstractIdCredentialsListBoxModel<T, C>, C extends IdCredentials>
    extends ListBoxModel {
  private static final long serialVersionUID = 1L;

  public AbstractIdCredentialsListBoxModel<T, C> includeEmptyValue() {
    throw Stub.called();
  }

  public AbstractIdCredentialsListBoxModel<T, C> includeAs(
      Authentication authentication, Item context, Class<? extends C> type) {
    throw Stub.called();
  }

  public AbstractIdCredentialsListBoxModel<T, C> includeCurrentValue(String value) {
    throw Stub.called();
  }
}
