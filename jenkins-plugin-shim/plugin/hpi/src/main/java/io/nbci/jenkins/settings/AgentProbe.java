package io.nbci.jenkins.settings;

import hudson.model.Computer;
import io.nbci.jenkins.settings.AgentProblem.Kind;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Asks agents for their nbci, in threads of their own so that no form waits for a dead one. */
final class AgentProbe {
  /** How long nbci may take; importing Jupyter from a slow disk takes a while. */
  private static final int PROGRAM_SECONDS = 20;

  /** Starting the program goes through the agent's connection, which has no limit itself. */
  private static final int CONNECTION_SECONDS = 5;

  private static final int MOST_KNOWN = 64;
  private static final AnswerCache KNOWN = new AnswerCache(MOST_KNOWN, System::nanoTime);

  /** Forms must not be a way to start any number of programs. */
  private static final Semaphore AT_ONCE = new Semaphore(8);

  private AgentProbe() {}

  /** Asks the agent of that name, and waits as long as it takes within the limits. */
  static AgentAnswer askNow(String agent, String command) {
    for (OnlineNode node : OnlineNode.all()) {
      if (node.name().equals(agent)) {
        CompletableFuture<AgentAnswer> answer =
            KNOWN.askAgain(question(node, command), () -> start(node, command));
        return await(answer, PROGRAM_SECONDS + CONNECTION_SECONDS, agent, command);
      }
    }
    return new AgentProblem(Kind.OFFLINE, agent, command, "");
  }

  /** What is known of the node, or what it answers in that time; it is asked to the end anyway. */
  static AgentAnswer ask(OnlineNode node, String command, int seconds) {
    CompletableFuture<AgentAnswer> answer =
        KNOWN.answer(question(node, command), () -> start(node, command));
    return await(answer, seconds, node.name(), command);
  }

  private static AnswerCache.Question question(OnlineNode node, String command) {
    return new AnswerCache.Question(node.name(), command);
  }

  private static CompletableFuture<AgentAnswer> start(OnlineNode node, String command) {
    if (!AT_ONCE.tryAcquire()) {
      return CompletableFuture.completedFuture(
          new AgentProblem(Kind.TOO_MANY_QUESTIONS, node.name(), command, ""));
    }
    CompletableFuture<AgentAnswer> answer = new CompletableFuture<>();
    Computer.threadPoolForRemoting.execute(() -> answerInto(answer, node, command));
    return answer;
  }

  private static void answerInto(
      CompletableFuture<AgentAnswer> answer, OnlineNode node, String command) {
    CommandOnAgent machine = new LaunchedCommand(node.node(), PROGRAM_SECONDS);
    try {
      answer.complete(new AboutNbci(machine, node.name(), command).ask());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      answer.completeExceptionally(e);
    } catch (RuntimeException e) {
      // whoever waits must learn of it
      answer.completeExceptionally(e);
    } finally {
      AT_ONCE.release();
    }
  }

  private static AgentAnswer await(
      CompletableFuture<AgentAnswer> answer, int seconds, String agent, String command) {
    try {
      return answer.get(seconds, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      return new AgentProblem(Kind.NO_ANSWER_IN_TIME, agent, command, "");
    } catch (ExecutionException e) {
      return new AgentProblem(Kind.UNREACHABLE, agent, command, String.valueOf(e.getCause()));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return new AgentProblem(Kind.NO_ANSWER_IN_TIME, agent, command, "");
    }
  }
}
