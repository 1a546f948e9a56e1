package io.nbci.jenkins.page;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** nbci's words for results in the reader's language, and how each of them looks. */
final class Words {
  private static final int LONGEST_WORD = 30;
  private static final DateTimeFormatter MINUTE =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm 'UTC'").withZone(ZoneOffset.UTC);

  private Words() {}

  /** Returns the word in the reader's language; one that is not known stays. */
  static String of(String word) {
    return switch (word) {
      case "passed" -> Messages.Word_Passed();
      case "refused" -> Messages.Word_Refused();
      case "failed" -> Messages.Word_Failed();
      case "interrupted" -> Messages.Word_Interrupted();
      case "running" -> Messages.Word_Running();
      case "warned" -> Messages.Word_Warned();
      case "overridden" -> Messages.Word_Overridden();
      case "skipped" -> Messages.Word_Skipped();
      case "reused" -> Messages.Word_Reused();
      case "waiting" -> Messages.Word_Waiting();
      case "better" -> Messages.Word_Better();
      case "worse" -> Messages.Word_Worse();
      case "same" -> Messages.Word_Same();
      case "unknown" -> "";
      default -> shortened(word, LONGEST_WORD);
    };
  }

  /** Returns `good`, `kept`, `warn`, `bad` or `idle`: the end of a class of the style sheet. */
  static String look(String word) {
    return switch (word) {
      case "passed", "better", "good" -> "good";
      case "reused" -> "kept";
      case "warned", "overridden", "interrupted" -> "warn";
      case "refused", "failed", "worse", "bad" -> "bad";
      default -> "idle";
    };
  }

  /** Returns a text that has at most so many characters; one that is longer ends with `…`. */
  static String shortened(String text, int most) {
    if (text.codePointCount(0, text.length()) <= most) {
      return text;
    }
    return text.substring(0, text.offsetByCodePoints(0, most - 1)) + "…";
  }

  /** Returns a moment to the minute; what is none, as it is. */
  static String moment(String utc) {
    try {
      return MINUTE.format(Instant.parse(utc));
    } catch (DateTimeException e) {
      return utc;
    }
  }
}
