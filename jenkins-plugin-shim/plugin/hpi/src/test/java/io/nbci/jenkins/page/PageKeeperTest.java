package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import hudson.model.TaskListener;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a build hands over is kept whole, or not at all, and never ends the build. */
class PageKeeperTest {
  private static final Locale BEFORE = Locale.getDefault();

  @TempDir Path folder;

  private FakeRun run;

  @BeforeEach
  void begin() {
    Locale.setDefault(Locale.ENGLISH);
    run = new FakeJob(folder).build();
  }

  @AfterEach
  void speakAsBefore() {
    Locale.setDefault(BEFORE);
  }

  @Test
  void keepsTheFileWithTheBuildAndSavesTheBuild() throws IOException {
    String log = HandedOver.to(run, new HandedOver.Bytes(Samples.full()), "Notebook_20report");

    assertEquals("", log);
    assertArrayEquals(Samples.full(), Files.readAllBytes(kept(1)));
    assertEquals(1, run.saves);
    assertEquals("churn", Pages.of(run).get(0).record().get().pipeline());
  }

  @Test
  void eachStepOfABuildHasItsOwnPage() throws IOException {
    HandedOver.page(run, Samples.full());
    HandedOver.page(run, Samples.written());

    assertArrayEquals(Samples.written(), Files.readAllBytes(kept(2)));
    assertEquals(List.of("notebook", "notebook-2"),
        Pages.of(run).stream().map(NotebookPage::getUrlName).toList());
  }

  @Test
  void branchesThatHandOverAtOnceGetDifferentNumbers() throws Exception {
    List<Thread> branches =
        Stream.generate(() -> new Thread(() -> HandedOver.page(run, Samples.full())))
            .limit(8)
            .toList();

    branches.forEach(Thread::start);
    for (Thread branch : branches) {
      branch.join();
    }

    assertEquals(8, Pages.of(run).stream().map(NotebookPage::getNumber).distinct().count());
    assertEquals(8, filesKept().size());
  }

  @Test
  void aMissingFileIsALineInTheLogAndAPageThatSaysSo() {
    String log = HandedOver.to(run, new Missing(), "report/");

    assertTrue(log.contains("/ws/page.json is not there"), log);
    assertTrue(problem().contains("nothing was handed over"), problem());
  }

  @Test
  void aFileThatSaysItIsTooLargeIsNotRead() {
    String log = HandedOver.to(run, new Claims(5_000_000_000L), "report/");

    assertTrue(log.contains("it has more than 1,024 kB"), log);
    assertTrue(problem().contains("nothing was handed over"), problem());
  }

  /** A file may grow while it is read, or be a device that never ends. */
  @Test
  void aFileWithoutEndIsReadToTheBoundOnly() {
    Endless endless = new Endless();

    String log = HandedOver.to(run, endless, "report/");

    assertTrue(log.contains("it has more than 1,024 kB"), log);
    assertTrue(endless.read < 1_100_000, "read " + endless.read);
    assertEquals(List.of(), filesKept());
  }

  @Test
  void theLargestFileIsKept() throws IOException {
    byte[] json = Samples.full();
    byte[] largest = new byte[HandedOver.KILOBYTES * 1024];
    java.util.Arrays.fill(largest, (byte) ' ');
    System.arraycopy(json, 0, largest, 0, json.length);

    assertEquals("", HandedOver.to(run, new HandedOver.Bytes(largest), ""));
    assertEquals("churn", Pages.of(run).get(0).record().get().pipeline());
  }

  @Test
  void aConnectionThatBreaksLeavesNothingBehind() {
    String log = HandedOver.to(run, new Broken(new IOException("channel is gone")), "report/");

    assertTrue(log.contains("channel is gone"), log);
    assertEquals(List.of(), filesKept());

    log = HandedOver.to(run, new Broken(new IllegalStateException("closed")), "report/");

    assertTrue(log.contains("closed"), log);
    assertEquals(2, Pages.of(run).size());
  }

  @Test
  void aFileThatIsNoPageIsKeptAndSaysSo() {
    String log = HandedOver.to(run, new HandedOver.Bytes("<html>".getBytes()), "report/");

    assertTrue(log.contains("cannot be read: it is not JSON"), log);
    assertTrue(problem().contains("it is not JSON"), problem());
  }

  @Test
  void anInterruptedBuildEnds() {
    PageSource interrupted =
        new Claims(1) {
          @Override
          public InputStream open() throws InterruptedException {
            throw new InterruptedException();
          }
        };
    TaskListener listener = () -> System.err;

    assertThrows(
        InterruptedException.class, () -> new PageKeeper(run, listener, 10).keep(interrupted, ""));
  }

  @Test
  void aFileThatVanishesLaterSaysSo() throws IOException {
    NotebookPage page = HandedOver.page(run, Samples.full());
    Files.delete(kept(1));

    assertTrue(page.getContent().getProblem().contains("nothing was handed over"));
  }

  private Path kept(int number) {
    return run.getRootDir().toPath().resolve("nbci").resolve(number + ".json");
  }

  private List<String> filesKept() {
    Path kept = run.getRootDir().toPath().resolve("nbci");
    if (!Files.exists(kept)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(kept)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private String problem() {
    return Pages.of(run).get(0).getContent().getProblem();
  }

  private static final class Missing extends Claims {
    Missing() {
      super(0);
    }

    @Override
    public boolean isFile() {
      return false;
    }
  }

  private static final class Broken extends Claims {
    private final Exception reason;

    Broken(Exception reason) {
      super(10);
      this.reason = reason;
    }

    @Override
    public InputStream open() {
      return new InputStream() {
        @Override
        public int read() throws IOException {
          if (reason instanceof IOException broken) {
            throw broken;
          }
          throw (RuntimeException) reason;
        }
      };
    }
  }

  private static final class Endless extends Claims {
    private int read;

    Endless() {
      super(10);
    }

    @Override
    public InputStream open() {
      return new InputStream() {
        @Override
        public int read() {
          read++;
          return 'x';
        }
      };
    }
  }

  /** A file that says it has so many bytes. */
  private static class Claims implements PageSource {
    private final long bytes;

    Claims(long bytes) {
      this.bytes = bytes;
    }

    @Override
    public String path() {
      return "/ws/page.json";
    }

    @Override
    public boolean isFile() {
      return true;
    }

    @Override
    public long bytes() {
      return bytes;
    }

    @Override
    public InputStream open() throws IOException, InterruptedException {
      throw new AssertionError("must not be read");
    }
  }
}
