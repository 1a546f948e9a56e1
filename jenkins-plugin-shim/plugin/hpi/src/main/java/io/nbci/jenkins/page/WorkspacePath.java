package io.nbci.jenkins.page;

import java.util.List;

/** What a path says before anything is looked for. */
public final class WorkspacePath {
  private WorkspacePath() {}

  /** Whether a path stays below the workspace that it is relative to, on an agent of any system. */
  public static boolean isBelow(String path) {
    List<String> parts = List.of(path.split("[/\\\\]", -1));
    // an empty first part is a root; Linux allows a colon in a name, Windows has drives with one
    boolean absolute = parts.get(0).isEmpty() || parts.get(0).matches("[A-Za-z]:.*");
    return !absolute && !parts.contains("..");
  }
}
