package io.nbci.jenkins.step;

import java.util.Map;
import java.util.WeakHashMap;

/**
 * Numbers the steps of a build in the order in which they begin.
 *
 * <p>Branches of a pipeline run steps side by side, each of which needs a folder of its own before
 * any of them has left something with the build.
 */
final class StepNumbers {
  private final Map<Object, Integer> given = new WeakHashMap<>();

  /**
   * Gives the next number.
   *
   * @param build what lives as long as the build runs
   * @param keptBefore how many steps have left something with it, of which some may have run before
   *     a restart of Jenkins
   */
  synchronized int next(Object build, int keptBefore) {
    int number = Math.max(given.getOrDefault(build, 0), keptBefore) + 1;
    given.put(build, number);
    return number;
  }
}
