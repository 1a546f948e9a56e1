package io.nbci.jenkins.page;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Where the values of a chart lie on its height, with round numbers beside it. */
final class Axis {
  private static final int STEPS = 4;
  /** Numbers that differ less are the same to a reader, and too close for round steps between. */
  private static final double SAME = 1e-9;
  /** The difference of larger ones is no number any more. */
  private static final double LARGEST = 1e300;
  /** A step between smaller ones is no number above 0 any more. */
  private static final double SMALLEST = 1e-290;

  private final double low;
  private final double high;
  private final double step;

  private Axis(double low, double high, double step) {
    this.low = low;
    this.high = high;
    this.step = step;
  }

  /** Returns an axis for these values, of which there must be one. */
  static Axis of(List<Double> values) {
    double least = Double.POSITIVE_INFINITY;
    double most = Double.NEGATIVE_INFINITY;
    for (double value : values) {
      least = Math.min(least, bounded(value));
      most = Math.max(most, bounded(value));
    }
    double size = Math.max(Math.abs(least), Math.abs(most));
    if (most - least <= Math.max(size * SAME, SMALLEST)) {
      double room = size <= SMALLEST ? 1 : size * 0.1;
      least -= room;
      most += room;
    }
    double step = roundStep((most - least) / STEPS);
    return new Axis(Math.floor(least / step) * step, Math.ceil(most / step) * step, step);
  }

  /** Returns where a value is, from 0 at the bottom to 1 at the top. */
  double share(double value) {
    return (bounded(value) - low) / (high - low);
  }

  /** The round numbers, from the bottom up. */
  List<Double> ticks() {
    List<Double> found = new ArrayList<>();
    long count = Math.round((high - low) / step);
    for (int number = 0; number <= count; number++) {
      found.add(low + number * step);
    }
    return found;
  }

  /** Writes a tick with the digits that tell it from the next one. */
  String label(double tick) {
    double size = Math.max(Math.abs(low), Math.abs(high));
    if (size >= 1e6 || size < 1e-4) {
      return String.format(Locale.ROOT, "%.2g", tick);
    }
    int digits = (int) Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - SAME)));
    // Adding 0 makes -0.0 a 0.0.
    return String.format(Locale.ROOT, "%." + digits + "f", tick + 0.0);
  }

  private static double roundStep(double least) {
    double power = Math.pow(10, Math.floor(Math.log10(least)));
    for (double factor : new double[] {1, 2, 5}) {
      if (factor * power >= least) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  private static double bounded(double value) {
    return Math.max(-LARGEST, Math.min(LARGEST, value));
  }
}
