package io.nbci.jenkins.page;

import hudson.FilePath;
import hudson.model.Run;
import hudson.model.TaskListener;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Takes over what a build's page shows from the machine that the build runs on. */
public final class PageKeeper {
  /** Two branches of a pipeline may hand over at once: numbers are given one at a time. */
  private static final Object NUMBERS = new Object();

  private PageKeeper() {}

  /**
   * Keeps a page.json with the build and shows it as a page of the build.
   *
   * <p>Whatever is wrong with the file, the build goes on: the log and the page say what it is.
   *
   * @param report where the report is below the build's address, such as `Notebook_20report/`
   */
  public static void keep(Run<?, ?> run, FilePath pageFile, String report, TaskListener listener)
      throws InterruptedException {
    keep(run, new AgentFile(pageFile), report, listener);
  }

  static void keep(Run<?, ?> run, PageSource source, String report, TaskListener listener)
      throws InterruptedException {
    File build = run.getRootDir();
    Path copy = copy(source, build, listener);
    NotebookPage page;
    synchronized (NUMBERS) {
      page = new NotebookPage(Pages.of(run).size() + 1, RelativeLink.folder(report));
      place(copy, build, page.getNumber(), listener);
      run.addAction(page);
    }
    if (copy != null) {
      logWhatIsWrong(build, page.getNumber(), listener);
    }
    save(run, listener);
  }

  /** Returns the copy of a file of the agent, or null where there is none. */
  private static Path copy(PageSource source, File build, TaskListener listener)
      throws InterruptedException {
    try {
      if (!source.isFile()) {
        log(listener, Messages.Keeper_NoFile(source.path()));
        return null;
      }
      PageFile.checkSize(source.bytes());
      try (InputStream content = source.open()) {
        return PageFile.copy(content, build);
      }
    } catch (UnreadablePage e) {
      log(listener, Messages.Keeper_NotKept(source.path(), e.getMessage()));
    } catch (IOException | RuntimeException e) {
      // A connection that breaks shows as either of them.
      log(listener, Messages.Keeper_NotKept(source.path(), e.toString()));
    }
    return null;
  }

  private static void place(Path copy, File build, int number, TaskListener listener) {
    if (copy == null) {
      return;
    }
    try {
      PageFile.place(copy, build, number);
    } catch (IOException e) {
      log(listener, Messages.Keeper_NotKept(copy, e.toString()));
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

  private static void logWhatIsWrong(File build, int number, TaskListener listener) {
    try {
      PageFile.read(build, number);
    } catch (UnreadablePage e) {
      log(listener, Messages.Page_Unreadable(e.getMessage()));
    }
  }

  /** Saves the build at once: a restart in its middle must not lose the page. */
  private static void save(Run<?, ?> run, TaskListener listener) {
    try {
      run.save();
    } catch (IOException e) {
      log(listener, Messages.Keeper_NotSaved(e.toString()));
    }
  }

  private static void log(TaskListener listener, String line) {
    listener.getLogger().println("nbci: " + line);
  }
}
