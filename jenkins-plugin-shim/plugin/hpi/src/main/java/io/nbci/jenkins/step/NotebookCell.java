package io.nbci.jenkins.step;

import hudson.Extension;
import hudson.model.AbstractDescribableImpl;
import hudson.model.Descriptor;
import java.io.Serializable;
import org.kohsuke.stapler.DataBoundConstructor;
import org.kohsuke.stapler.DataBoundSetter;

/** A cell of code that was typed into the form of the step. */
public final class NotebookCell extends AbstractDescribableImpl<NotebookCell>
    implements Serializable {
  private static final long serialVersionUID = 1L;

  private final String code;
  private String tags = "";

  @DataBoundConstructor
  public NotebookCell(String code) {
    this.code = code;
  }

  public String getCode() {
    return code == null ? "" : code;
  }

  /** Tags with spaces between them, such as {@code step:train prev:split}. */
  public String getTags() {
    return tags == null ? "" : tags;
  }

  @DataBoundSetter
  public void setTags(String tags) {
    this.tags = tags;
  }

  /** What the form shows of it. */
  @Extension
  public static final class DescriptorImpl extends Descriptor<NotebookCell> {
    @Override
    public String getDisplayName() {
      return Messages.NotebookCell_DisplayName();
    }
  }
}
