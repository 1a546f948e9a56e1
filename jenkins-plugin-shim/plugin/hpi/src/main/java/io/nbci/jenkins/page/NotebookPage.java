package io.nbci.jenkins.page;

import hudson.model.BuildBadgeAction;
import hudson.model.Run;
import java.lang.ref.SoftReference;
import java.util.Optional;
import jenkins.model.RunAction2;

/**
 * A page of a build: what nbci says of one run in it.
 *
 * <p>The build's record holds its number and the place of the report only; the content is in a file
 * of the build's folder, and is read when somebody looks.
 */
public final class NotebookPage implements RunAction2, BuildBadgeAction {
  private final int number;
  private final String report;

  private transient Run<?, ?> run;
  private transient SoftReference<PageRecord> read;

  NotebookPage(int number, String report) {
    this.number = number;
    this.report = report;
  }

  @Override
  public void onAttached(Run<?, ?> attached) {
    run = attached;
  }

  @Override
  public void onLoad(Run<?, ?> loaded) {
    run = loaded;
  }

  public int getNumber() {
    return number;
  }

  public Run<?, ?> getRun() {
    return run;
  }

  @Override
  public String getIconFileName() {
    return "symbol-document-text";
  }

  @Override
  public String getDisplayName() {
    return Messages.Page_Name();
  }

  @Override
  public String getUrlName() {
    return number == 1 ? "notebook" : "notebook-" + number;
  }

  /** What nbci said; empty where that cannot be read. */
  public Optional<PageRecord> record() {
    try {
      return Optional.of(readRecord());
    } catch (UnreadablePage e) {
      return Optional.empty();
    }
  }

  private synchronized PageRecord readRecord() throws UnreadablePage {
    PageRecord kept = read == null ? null : read.get();
    if (kept == null) {
      kept = PageFile.read(run.getRootDir(), number);
      read = new SoftReference<>(kept);
    }
    return kept;
  }
}
