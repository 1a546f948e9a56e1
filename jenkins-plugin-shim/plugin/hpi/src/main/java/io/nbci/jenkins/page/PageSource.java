package io.nbci.jenkins.page;

import java.io.IOException;
import java.io.InputStream;

/** A page.json on the machine that a build runs on. */
interface PageSource {
  /** Its path there. */
  String path();

  boolean isFile() throws IOException, InterruptedException;

  long bytes() throws IOException, InterruptedException;

  InputStream open() throws IOException, InterruptedException;
}
