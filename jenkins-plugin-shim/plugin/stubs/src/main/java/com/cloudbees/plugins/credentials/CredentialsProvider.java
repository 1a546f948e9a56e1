package com.cloudbees.plugins.credentials;

import com.cloudbees.plugins.credentials.common.IdCredentials;
import com.cloudbees.plugins.credentials.domains.DomainRequirement;
import hudson.model.Run;
import hudson.security.Permission;
import io.nbci.jenkins.stubs.Stub;

public abstract class CredentialsProvider {
  public static final Permission USE_ITEM = Stub.permission("CredentialsProvider.USE_ITEM");
  public static <C extends IdCredentials> C findCredentialById(
      String id, Class<C> type, Run<?, ?> run, DomainRequirement... requirements) {
    throw Stub.called();
  }

  @SuppressWarnings("rawtypes")
  public static <C extends Credentials> C track(Run build, C credentials) {
    throw Stub.called();
  }
}
