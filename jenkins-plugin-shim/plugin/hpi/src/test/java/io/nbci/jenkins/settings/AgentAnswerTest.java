package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.settings.AgentFacts.Kernel;
import io.nbci.jenkins.settings.AgentProblem.Kind;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What people read of an answer. */
class AgentAnswerTest {
  private final Locale before = Locale.getDefault();

  @BeforeEach
  void speakEnglish() {
    Locale.setDefault(Locale.ENGLISH);
  }

  @AfterEach
  void speakAsBefore() {
    Locale.setDefault(before);
  }

  @Test
  void factsInOneLine() {
    List<Kernel> kernels =
        List.of(new Kernel("python3", "Python 3", "python"), new Kernel("ir", "R", "R"));

    AgentFacts facts =
        new AgentFacts("0.3.0", "3.12.4", "Linux", kernels, List.of("H200", "L4", "H200"));

    assertEquals(
        "nbci 0.3.0, Python 3.12.4, Linux; kernels: python3 (Python 3), ir (R); GPUs: 2 × H200, L4",
        facts.line());
  }

  @Test
  void whatIsMissingInOneLine() {
    AgentFacts facts = new AgentFacts("0.3.0", "3.12.4", "Linux", List.of(), List.of());

    assertEquals(
        "nbci 0.3.0, Python 3.12.4, Linux; no kernel: install ipykernel, or another kernel, where"
            + " nbci is installed; no GPU",
        facts.line());
  }

  @Test
  void manyKernels() {
    List<Kernel> kernels =
        IntStream.range(0, 30).mapToObj(i -> new Kernel("k" + i, "K", "")).toList();

    String line = new AgentFacts("1", "3", "Linux", kernels, List.of()).line();

    assertTrue(line.contains("k9 (K), …"), line);
    assertTrue(!line.contains("k10"), line);
  }

  @Test
  void problemSaysWhatToDo() {
    assertEquals(
        "there is no nbci at `nbci` on agent1, or the Python that it was installed with is gone:"
            + " install it there, or give its path",
        new AgentProblem(Kind.NO_NBCI, "agent1", "nbci", "").sentence());
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void everyProblemNamesItsAgent(Kind kind) {
    String sentence = new AgentProblem(kind, "agent1", "nbci", "KeyError").sentence();

    assertTrue(kind == Kind.TOO_MANY_QUESTIONS || sentence.contains("agent1"), sentence);
    assertTrue(sentence.contains(": "), sentence);
  }

  @Test
  void nodeWithoutAName() {
    assertEquals(
        "the built-in node is offline: start it, or choose another agent",
        new AgentProblem(Kind.OFFLINE, "", "nbci", "").sentence());
  }

  @Test
  void languageIsThatOfTheReader() {
    AgentProblem problem = new AgentProblem(Kind.OFFLINE, "agent1", "nbci", "");

    Locale.setDefault(new Locale("es"));

    assertEquals("agent1 está fuera de línea: inícielo, o elija otro agente", problem.sentence());
  }

  @Test
  void kernelsForADropDown() {
    Kernel kernel = new Kernel("python3", "Python 3", "python");
    AgentFacts facts = new AgentFacts("1", "3", "Linux", List.of(kernel), List.of());

    assertEquals(new KernelChoices(List.of(kernel), ""), KernelChoices.of(facts));
    assertEquals(List.of("python3"), KernelChoices.of(facts).names());
  }

  @Test
  void noKernelsHaveAReason() {
    AgentProblem problem = new AgentProblem(Kind.OFFLINE, "agent1", "nbci", "");
    AgentFacts facts = new AgentFacts("1", "3", "Linux", List.of(), List.of());

    assertEquals(problem.sentence(), KernelChoices.of(problem).reason());
    assertTrue(KernelChoices.of(facts).reason().contains("ipykernel"));
    assertEquals(List.of(), KernelChoices.of(problem).names());
  }
}
