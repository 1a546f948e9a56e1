package io.nbci.jenkins.page;

/** Why a page cannot be shown, in words for who looks at it. */
public final class UnreadablePage extends Exception {
  private static final long serialVersionUID = 1L;

  public UnreadablePage(String message) {
    super(message);
  }
}
