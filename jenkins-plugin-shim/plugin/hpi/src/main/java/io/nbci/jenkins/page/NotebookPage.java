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
  static final String ICON = "symbol-journal";

  private static final int LONGEST_NAME = 40;

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

  /** Where its report is below the build's address; empty: nowhere. */
  public String getReport() {
    // the record of a build may lack it
    return report == null ? "" : report;
  }

  public Run<?, ?> getRun() {
    return run;
  }

  /** The build, under the name that Jenkins' views of tabs have for it. */
  public Run<?, ?> getObject() {
    return run;
  }

  /** Null where the page has a tab of its own, so that it is not offered twice. */
  @Override
  public String getIconFileName() {
    return isInTabs() ? null : ICON;
  }

  /** "Notebook"; with its pipeline where the build has other pages, too. */
  @Override
  public String getDisplayName() {
    if (Pages.of(run).size() < 2) {
      return Messages.Page_Name();
    }
    String pipeline = record().map(PageRecord::pipeline).orElse("");
    if (pipeline.isEmpty()) {
      return Messages.Page_NameOf(String.valueOf(number));
    }
    // The side panel has no room for more.
    return Messages.Page_NameOf(Words.shortened(pipeline, LONGEST_NAME));
  }

  @Override
  public String getUrlName() {
    return number == 1 ? "notebook" : "notebook-" + number;
  }

  public boolean isInTabs() {
    return NewBuildPage.isShown();
  }

  /** What nbci said; empty where that cannot be read. */
  public Optional<PageRecord> record() {
    try {
      return Optional.of(readRecord());
    } catch (UnreadablePage e) {
      return Optional.empty();
    }
  }

  public PageContent getContent() {
    try {
      // A build's record may come from elsewhere: the path is checked again.
      String folder = RelativeLink.folder(getReport());
      return PageContent.of(readRecord(), folder.isEmpty() ? "" : run.getUrl() + folder);
    } catch (UnreadablePage e) {
      return PageContent.unreadable(e);
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
