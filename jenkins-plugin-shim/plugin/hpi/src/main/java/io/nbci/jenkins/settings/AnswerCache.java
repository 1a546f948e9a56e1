package io.nbci.jenkins.settings;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Answers of agents for a short while: a form asks the same several times while it is filled in.
 *
 * <p>A question that is being asked already is not asked again.
 */
final class AnswerCache {
  static final long FACTS_NANOSECONDS = TimeUnit.SECONDS.toNanos(60);

  /** Shorter: whoever is told what is missing goes and mends it. */
  static final long PROBLEMS_NANOSECONDS = TimeUnit.SECONDS.toNanos(5);

  private final int most;
  private final LongSupplier nanoseconds;
  private final Map<Question, Entry> entries = new LinkedHashMap<>();

  /** What is asked of which agent. */
  record Question(String agent, String command) {}

  private record Entry(CompletableFuture<AgentAnswer> answer, long asked) {}

  AnswerCache(int most, LongSupplier nanoseconds) {
    this.most = most;
    this.nanoseconds = nanoseconds;
  }

  /** The answer to come or a recent one; else asks. */
  synchronized CompletableFuture<AgentAnswer> answer(
      Question question, Supplier<CompletableFuture<AgentAnswer>> ask) {
    Entry known = entries.get(question);
    if (known != null && isFresh(known)) {
      return known.answer();
    }
    return askAgain(question, ask);
  }

  /** Asks whatever is known. */
  synchronized CompletableFuture<AgentAnswer> askAgain(
      Question question, Supplier<CompletableFuture<AgentAnswer>> ask) {
    Entry entry = new Entry(ask.get(), nanoseconds.getAsLong());
    entries.remove(question);
    if (entries.size() >= most) {
      entries.remove(entries.keySet().iterator().next());
    }
    entries.put(question, entry);
    return entry.answer();
  }

  private boolean isFresh(Entry entry) {
    if (!entry.answer().isDone()) {
      return true;
    }
    if (entry.answer().isCompletedExceptionally()) {
      return false;
    }
    long age = nanoseconds.getAsLong() - entry.asked();
    boolean isProblem = entry.answer().join() instanceof AgentProblem;
    return age < (isProblem ? PROBLEMS_NANOSECONDS : FACTS_NANOSECONDS);
  }
}
