package io.nbci.jenkins.settings;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Keeps the beginning of what a program prints; the rest is read and dropped. */
final class BoundedOutput extends OutputStream {
  private final int mostBytes;
  private final ByteArrayOutputStream kept = new ByteArrayOutputStream();

  BoundedOutput(int mostBytes) {
    this.mostBytes = mostBytes;
  }

  @Override
  public synchronized void write(int value) {
    if (kept.size() < mostBytes) {
      kept.write(value);
    }
  }

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) {
    kept.write(bytes, offset, Math.min(length, mostBytes - kept.size()));
  }

  synchronized String text() {
    return kept.toString(StandardCharsets.UTF_8);
  }
}
