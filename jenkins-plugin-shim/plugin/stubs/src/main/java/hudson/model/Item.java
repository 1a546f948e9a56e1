package hudson.model;

import hudson.security.AccessControlled;
import hudson.security.Permission;
import io.nbci.jenkins.stubs.Stub;

public interface Item extends AccessControlled, ModelObject {
  Permission BUILD = Stub.permission("Item.BUILD");

  Permission CONFIGURE = Stub.permission("Item.CONFIGURE");

  Permission EXTENDED_READ = Stub.permission("Item.EXTENDED_READ");

  Permission READ = Stub.permission("Item.READ");

  Permission WORKSPACE = Stub.permission("Item.WORKSPACE");

  ItemGroup<? extends Item> getParent();

  String getFullName();
}
