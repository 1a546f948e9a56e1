package io.nbci.jenkins.page;

import hudson.model.TaskListener;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Hands pages over to builds, and has the lines that the builds' logs got. */
final class HandedOver {
  static final int KILOBYTES = 1024;
  private static final String REPORT = "artifact/report/";

  private HandedOver() {}

  /** A file on an agent that has these bytes. */
  record Bytes(byte[] content) implements PageSource {
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
      return content.length;
    }

    @Override
    public InputStream open() {
      return new ByteArrayInputStream(content);
    }
  }

  static NotebookPage page(FakeRun run, byte[] json) {
    to(run, new Bytes(json), REPORT);
    return Pages.of(run).get(Pages.of(run).size() - 1);
  }

  /** Returns what the log says. */
  static String to(FakeRun run, PageSource source, String report) {
    var log = new ByteArrayOutputStream();
    var stream = new PrintStream(log, true, StandardCharsets.UTF_8);
    TaskListener listener = () -> stream;
    try {
      new PageKeeper(run, listener, KILOBYTES).keep(source, report);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    return log.toString(StandardCharsets.UTF_8);
  }
}
