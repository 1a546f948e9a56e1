package hudson.tools;

import hudson.ExtensionPoint;
import hudson.model.Describable;

public abstract class ToolProperty<T extends ToolInstallation>
    implements Describable<ToolProperty<?>>, ExtensionPoint {}
