package com.cloudbees.hudson.plugins.folder;

import hudson.model.Descriptor;
import io.nbci.jenkins.stubs.Stub;
import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class AbstractFolderPropertyDescriptor
    extends Descriptor<AbstractFolderProperty<?>> {
  @Override
  public AbstractFolderProperty<?> newInstance(StaplerRequest2 request, JSONObject form)
      throws FormException {
    throw Stub.called();
  }
}
