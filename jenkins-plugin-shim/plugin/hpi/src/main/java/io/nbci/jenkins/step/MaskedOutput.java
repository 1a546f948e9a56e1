package io.nbci.jenkins.step;

import hudson.console.LineTransformationOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/**
 * Shows {@code ****} for secrets. nbci masks what steps print; this is for what is printed before
 * nbci has begun, or where it crashed.
 */
final class MaskedOutput extends LineTransformationOutputStream {
  private static final String MASK = "****";

  private final OutputStream out;
  private final List<String> secrets;

  MaskedOutput(OutputStream out, Collection<String> secrets) {
    this.out = out;
    this.secrets = longestFirst(secrets);
  }

  @Override
  protected void eol(byte[] bytes, int length) throws IOException {
    // Latin-1 keeps each byte, whatever the encoding of the agent
    String line = new String(bytes, 0, length, StandardCharsets.ISO_8859_1);
    out.write(mask(line, secrets).getBytes(StandardCharsets.ISO_8859_1));
  }

  @Override
  public void flush() throws IOException {
    out.flush();
  }

  static String mask(String line, List<String> secrets) {
    String masked = line;
    for (String secret : secrets) {
      masked = masked.replace(secret, MASK);
    }
    return masked;
  }

  /** One that contains another is masked before it; an empty line of a secret masks nothing. */
  static List<String> longestFirst(Collection<String> secrets) {
    return secrets.stream()
        .flatMap(String::lines)
        .filter(line -> !line.isBlank())
        .map(line -> new String(line.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1))
        .distinct()
        .sorted(Comparator.comparing(String::length).reversed())
        .toList();
  }
}
