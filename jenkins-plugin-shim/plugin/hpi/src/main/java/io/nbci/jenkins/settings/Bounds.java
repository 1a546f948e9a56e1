package io.nbci.jenkins.settings;

/** The numbers that a setting may have, and the one that it has where nobody chose any. */
record Bounds(int least, int standard, int most) {
  /** The nearest number within the bounds. */
  int within(int value) {
    return Math.max(least, Math.min(value, most));
  }

  /** The setting that a stored number means; an empty field of a form comes as 0. */
  int setting(Integer stored) {
    return stored == null || stored == 0 ? standard : within(stored);
  }
}
