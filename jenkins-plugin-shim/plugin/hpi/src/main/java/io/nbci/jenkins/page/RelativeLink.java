package io.nbci.jenkins.page;

import java.util.Locale;
import java.util.regex.Pattern;

/** Addresses that a build hands over: only those that stay below the folder they start from. */
public final class RelativeLink {
  private static final int LONGEST = 2_000;
  /** Browsers take `%2e` for a dot when they look for `..`. */
  private static final Pattern UPWARD = Pattern.compile("(^|/)(\\.|%2e){2}(/|$)");

  private RelativeLink() {}

  /** Returns the link, or an empty text for one that leads, or could lead, elsewhere. */
  public static String checked(String link) {
    return isRelative(link) ? link : "";
  }

  /** Returns the folder with a slash at its end; an empty text for one that is no such place. */
  public static String folder(String path) {
    String checked = checked(path);
    if (checked.isEmpty() || checked.contains("?") || checked.contains("#")) {
      return "";
    }
    return checked.endsWith("/") ? checked : checked + "/";
  }

  private static boolean isRelative(String link) {
    if (link.isEmpty() || link.length() > LONGEST) {
      return false;
    }
    if (link.startsWith("/") || link.chars().anyMatch(RelativeLink::isForbidden)) {
      return false;
    }
    String path = link.split("[?#]", 2)[0];
    String first = path.split("/", 2)[0];
    return !first.contains(":") && !UPWARD.matcher(path.toLowerCase(Locale.ROOT)).find();
  }

  /** No address has them; browsers leave some of them out before they look for a scheme. */
  private static boolean isForbidden(int character) {
    return Character.isISOControl(character) || " \"<>\\^`{|}".indexOf(character) >= 0;
  }
}
