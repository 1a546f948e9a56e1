package io.nbci.jenkins.step;

import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Numbers the steps of a build in the order in which they begin.
 *
 * <p>Branches of a pipeline run steps side by side, each of which needs a folder of its own before
 * any of them has left something with the build.
 */
final class StepNumbers {
  private static final Pattern FOLDER = Pattern.compile("artifact/notebook(?:-(\\d{1,6}))?/");

  private final Map<Object, Integer> given = new WeakHashMap<>();

  /**
   * Gives the next number.
   *
   * @param build what lives as long as the build runs
   * @param reports where the reports are that steps have left with it, of which some may have run
   *     before a restart of Jenkins
   */
  synchronized int next(Object build, List<String> reports) {
    int highest = given.getOrDefault(build, 0);
    for (String report : reports) {
      highest = Math.max(highest, numberOf(report));
    }
    given.put(build, highest + 1);
    return highest + 1;
  }

  /** The folder among the artifacts that a step of this number has. */
  static String folder(int number) {
    return number == 1 ? "notebook" : "notebook-" + number;
  }

  /** The number in the place of a report; 0 for reports of others. */
  private static int numberOf(String report) {
    Matcher place = FOLDER.matcher(report);
    if (!place.lookingAt()) {
      return 0;
    }
    return place.group(1) == null ? 1 : Integer.parseInt(place.group(1));
  }
}
