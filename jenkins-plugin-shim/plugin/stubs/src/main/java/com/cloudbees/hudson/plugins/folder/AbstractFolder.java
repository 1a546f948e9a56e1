package com.cloudbees.hudson.plugins.folder;

import hudson.model.AbstractItem;
import hudson.model.ItemGroup;
import hudson.model.TopLevelItem;
import hudson.util.DescribableList;
import io.nbci.jenkins.stubs.Stub;

public abstract class AbstractFolder<I extends TopLevelItem> extends AbstractItem
    implements TopLevelItem, ItemGroup<I> {
  public DescribableList<AbstractFolderProperty<?>, AbstractFolderPropertyDescriptor>
      getProperties() {
    throw Stub.called();
  }
}
