package io.nbci.jenkins.page;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** The files of a build that hold its pages: `nbci/1.json`, `nbci/2.json` and so on. */
final class PageFile {
  /** More than any setting allows: what was kept can be read when the setting is smaller now. */
  private static final int LARGEST_BYTES = 16 * 1024 * 1024;

  private static final String FOLDER = "nbci";
  private static final int BUFFER_BYTES = 16_384;

  private PageFile() {}

  /** Returns where a build, which has this folder, keeps its page of this number. */
  static Path of(File build, int number) {
    return build.toPath().resolve(FOLDER).resolve(number + ".json");
  }

  /**
   * Copies a stream into a new file of the build's folder, to be moved into place.
   *
   * @throws UnreadablePage when there is more than a page may have; nothing is left then
   */
  static Path copy(InputStream source, File build, int mostKilobytes)
      throws IOException, UnreadablePage {
    Path folder = Files.createDirectories(build.toPath().resolve(FOLDER));
    Path copy = Files.createTempFile(folder, "page", ".tmp");
    boolean isWhole = false;
    try (OutputStream target = Files.newOutputStream(copy)) {
      copy(source, target, mostKilobytes);
      isWhole = true;
    } finally {
      if (!isWhole) {
        Files.deleteIfExists(copy);
      }
    }
    return copy;
  }

  /** Gives a copy its number. */
  static void place(Path copy, File build, int number) throws IOException {
    Files.move(copy, of(build, number), StandardCopyOption.ATOMIC_MOVE);
  }

  /** Reads a page that was kept. */
  static PageRecord read(File build, int number) throws UnreadablePage {
    try (InputStream file = Files.newInputStream(of(build, number))) {
      // One byte more tells a file that is too large from one that just fits.
      byte[] json = file.readNBytes(LARGEST_BYTES + 1);
      checkSize(json.length, LARGEST_BYTES / 1024);
      return PageRecord.read(json);
    } catch (NoSuchFileException e) {
      throw new UnreadablePage(Messages.Unreadable_Missing());
    } catch (IOException e) {
      throw new UnreadablePage(Messages.Unreadable_Disk());
    }
  }

  /** Refuses a file of this size before it is copied. */
  static void checkSize(long bytes, int mostKilobytes) throws UnreadablePage {
    if (bytes > mostKilobytes * 1024L) {
      throw new UnreadablePage(Messages.Unreadable_TooLarge(mostKilobytes));
    }
  }

  private static void copy(InputStream source, OutputStream target, int mostKilobytes)
      throws IOException, UnreadablePage {
    byte[] buffer = new byte[BUFFER_BYTES];
    long copied = 0;
    for (int count = source.read(buffer); count >= 0; count = source.read(buffer)) {
      copied += count;
      checkSize(copied, mostKilobytes);
      target.write(buffer, 0, count);
    }
  }
}
