package io.nbci.jenkins.step;

import hudson.util.FormValidation;
import io.nbci.jenkins.page.WorkspacePath;
import java.io.IOException;
import java.util.List;

/** Whether a target can be what it says, as the form sees it. */
final class TargetCheck {
  private static final List<String> KINDS = List.of(".ipynb", ".py", ".md", ".yaml", ".yml");

  private TargetCheck() {}

  /** Whether a file is there, below a workspace of the job. */
  interface Files {
    boolean has(String path) throws IOException, InterruptedException;
  }

  enum Answer {
    FINE,
    NOTHING_GIVEN,
    OUTSIDE,
    OTHER_KIND,
    NOT_THERE
  }

  static FormValidation of(String target, Files files) throws IOException, InterruptedException {
    String path = target.strip();
    return switch (answer(path, files)) {
      case FINE, NOTHING_GIVEN -> FormValidation.ok();
      case OUTSIDE -> FormValidation.error(Messages.TargetCheck_Outside());
      case OTHER_KIND -> FormValidation.error(Messages.TargetCheck_OtherKind());
      // the last build's workspace: the next one may bring the file
      case NOT_THERE -> FormValidation.warning(Messages.TargetCheck_NotThere(path));
    };
  }

  static Answer answer(String path, Files files) throws IOException, InterruptedException {
    if (path.isEmpty()) {
      return Answer.NOTHING_GIVEN;
    }
    // decided before anything is looked for: nothing outside of the workspace is
    if (!WorkspacePath.isBelow(path)) {
      return Answer.OUTSIDE;
    }
    if (path.contains("$")) {
      // known in a build only
      return Answer.FINE;
    }
    if (KINDS.stream().noneMatch(path::endsWith)) {
      return Answer.OTHER_KIND;
    }
    return files.has(path) ? Answer.FINE : Answer.NOT_THERE;
  }
}
