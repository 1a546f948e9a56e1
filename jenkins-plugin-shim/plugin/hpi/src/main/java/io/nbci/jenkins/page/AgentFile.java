package io.nbci.jenkins.page;

import hudson.FilePath;
import java.io.IOException;
import java.io.InputStream;

/** A file of an agent, read over its connection. */
record AgentFile(FilePath file) implements PageSource {
  @Override
  public String path() {
    return file.getRemote();
  }

  @Override
  public boolean isFile() throws IOException, InterruptedException {
    return file.exists() && !file.isDirectory();
  }

  @Override
  public long bytes() throws IOException, InterruptedException {
    return file.length();
  }

  @Override
  public InputStream open() throws IOException, InterruptedException {
    return file.read();
  }
}
