package io.nbci.jenkins.page;

import hudson.FilePath;
import hudson.model.Run;
import hudson.model.TaskListener;
import io.nbci.jenkins.settings.NbciSettings;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Takes over what a build's page shows from the machine that the build runs on. */
public final class PageKeeper {
  /** Two branches of a pipeline may hand over at once: numbers are given one at a time. */
  private static final Object NUMBERS = new Object();

  private final Run<?, ?> run;
  private final TaskListener listener;
  private final int mostKilobytes;

  PageKeeper(Run<?, ?> run, TaskListener listener, int mostKilobytes) {
    this.run = run;
    this.listener = listener;
    this.mostKilobytes = mostKilobytes;
  }

  /**
   * Keeps a page.json with the build and shows it as a page of the build.
   *
   * <p>Whatever is wrong with the file, the build goes on: the log and the page say what it is.
   *
   * @param report where the report is below the build's address, such as `Notebook_20report/`
   */
  public static void keep(Run<?, ?> run, FilePath pageFile, String report, TaskListener listener)
      throws InterruptedException {
    int mostKilobytes = NbciSettings.get().getMaximumPageKilobytes();
    new PageKeeper(run, listener, mostKilobytes).keep(new AgentFile(pageFile), report);
  }

  void keep(PageSource source, String report) throws InterruptedException {
    Path copy = copy(source);
    NotebookPage page;
    synchronized (NUMBERS) {
      page = new NotebookPage(Pages.of(run).size() + 1, RelativeLink.folder(report));
      place(copy, page.getNumber());
      run.addAction(page);
    }
    if (copy != null) {
      logWhatIsWrong(page.getNumber());
    }
    save();
  }

  /** Returns the copy of a file of the agent, or null where there is none. */
  private Path copy(PageSource source) throws InterruptedException {
    try {
      if (!source.isFile()) {
        log(Messages.Keeper_NoFile(source.path()));
        return null;
      }
      PageFile.checkSize(source.bytes(), mostKilobytes);
      try (InputStream content = source.open()) {
        return PageFile.copy(content, run.getRootDir(), mostKilobytes);
      }
    } catch (UnreadablePage e) {
      log(Messages.Keeper_NotKept(source.path(), e.getMessage()));
    } catch (IOException | RuntimeException e) {
      // A connection that breaks shows as either of them.
      log(Messages.Keeper_NotKept(source.path(), e.toString()));
    }
    return null;
  }

  private void place(Path copy, int number) {
    if (copy == null) {
      return;
    }
    try {
      PageFile.place(copy, run.getRootDir(), number);
    } catch (IOException e) {
      log(Messages.Keeper_NotKept(copy, e.toString()));
      discard(copy);
    }
  }

  private static void discard(Path copy) {
    try {
      Files.deleteIfExists(copy);
    } catch (IOException e) {
      // It goes with the build's folder.
    }
  }

  private void logWhatIsWrong(int number) {
    try {
      PageFile.read(run.getRootDir(), number);
    } catch (UnreadablePage e) {
      log(Messages.Page_Unreadable(e.getMessage()));
    }
  }

  /** Saves the build at once: a restart in its middle must not lose the page. */
  private void save() {
    try {
      run.save();
    } catch (IOException e) {
      log(Messages.Keeper_NotSaved(e.toString()));
    }
  }

  private void log(String line) {
    listener.getLogger().println("nbci: " + line);
  }
}
