package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.nbci.jenkins.settings.AgentProblem.Kind;
import io.nbci.jenkins.settings.AnswerCache.Question;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class AnswerCacheTest {
  private static final Question QUESTION = new Question("agent1", "nbci");
  private static final AgentFacts FACTS = new AgentFacts("1", "3", "", List.of(), List.of());
  private static final AgentProblem PROBLEM =
      new AgentProblem(Kind.NO_NBCI, "agent1", "nbci", "");

  private long now = Long.MAX_VALUE - 5;
  private int asked;
  private final AnswerCache cache = new AnswerCache(2, () -> now);

  @Test
  void factsLastAMinute() {
    answer(QUESTION, FACTS);

    now += AnswerCache.FACTS_NANOSECONDS - 1;
    answer(QUESTION, FACTS);
    assertEquals(1, asked);

    now += 1;
    answer(QUESTION, FACTS);
    assertEquals(2, asked);
  }

  @Test
  void problemsLastShorter() {
    answer(QUESTION, PROBLEM);
    now += AnswerCache.PROBLEMS_NANOSECONDS;

    answer(QUESTION, FACTS);

    assertEquals(2, asked);
  }

  @Test
  void questionThatIsBeingAskedIsNotAskedAgain() {
    CompletableFuture<AgentAnswer> first = cache.answer(QUESTION, CompletableFuture::new);
    now += 2 * AnswerCache.FACTS_NANOSECONDS;

    CompletableFuture<AgentAnswer> second = cache.answer(QUESTION, CompletableFuture::new);

    assertSame(first, second);
  }

  @Test
  void failedQuestionIsAskedAgain() {
    cache.answer(QUESTION, () -> CompletableFuture.failedFuture(new IllegalStateException()));

    assertEquals(FACTS, answer(QUESTION, FACTS));
  }

  @Test
  void whoAsksNowIsNotToldWhatWas() {
    answer(QUESTION, PROBLEM);

    cache.askAgain(QUESTION, () -> CompletableFuture.completedFuture(FACTS));

    assertEquals(FACTS, answer(QUESTION, PROBLEM));
  }

  @Test
  void onlySoManyAreKnown() {
    answer(new Question("a", "nbci"), FACTS);
    answer(new Question("b", "nbci"), FACTS);
    answer(new Question("c", "nbci"), FACTS);
    assertEquals(3, asked);

    answer(new Question("c", "nbci"), FACTS);
    answer(new Question("b", "nbci"), FACTS);
    assertEquals(3, asked);

    answer(new Question("a", "nbci"), FACTS);
    assertEquals(4, asked);
  }

  @Test
  void commandsAreDifferentQuestions() {
    answer(QUESTION, FACTS);

    assertEquals(PROBLEM, answer(new Question("agent1", "/opt/nbci"), PROBLEM));
  }

  private AgentAnswer answer(Question question, AgentAnswer answer) {
    return cache
        .answer(
            question,
            () -> {
              asked++;
              return CompletableFuture.completedFuture(answer);
            })
        .join();
  }
}
