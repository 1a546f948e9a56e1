package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.settings.AgentFacts.Kernel;
import io.nbci.jenkins.settings.AgentProblem.Kind;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AboutNbciTest {
  private static final String ANSWER =
      """
      {"nbci": "0.3.0", "python": "3.12.4", "platform": "Linux-6.1-x86_64",
       "kernels": [{"name": "python3", "display_name": "Python 3", "language": "python"},
                   {"name": "ir", "display_name": "R", "language": "R"}],
       "gpus": [{"name": "NVIDIA H200"}]}
      """;

  @Test
  void factsOfAnAgent() throws Exception {
    AgentAnswer answer = ask(command -> result(0, ANSWER, "a warning\n"));

    assertEquals(
        new AgentFacts(
            "0.3.0",
            "3.12.4",
            "Linux-6.1-x86_64",
            List.of(new Kernel("python3", "Python 3", "python"), new Kernel("ir", "R", "R")),
            List.of("NVIDIA H200")),
        answer);
  }

  @Test
  void onlyThisIsStarted() throws Exception {
    ask(
        command -> {
          assertEquals(List.of("/opt/nbci", "about", "--json"), command);
          return result(0, ANSWER, "");
        });
  }

  @Test
  void fewerFactsAreFine() {
    AgentFacts facts = AboutNbci.decode("{\"nbci\": \"1\", \"kernels\": null}").orElseThrow();

    assertEquals(new AgentFacts("1", "", "", List.of(), List.of()), facts);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "nbci 0.3.0",
        "{}",
        "{\"nbci\": {}}",
        "{\"nbci\": \"\"}",
        "{\"nbci\": \"1\""
      })
  void answersOfOtherPrograms(String output) throws Exception {
    assertProblem(Kind.NOT_UNDERSTOOD, ask(command -> result(0, output, "")));
  }

  @Test
  void deepAnswerEndsNothing() {
    assertEquals(Optional.empty(), AboutNbci.decode("[".repeat(256 * 1024)));
  }

  @Test
  void kernelsOfWrongTypesAreLeftOut() {
    AgentFacts facts =
        AboutNbci.decode(
                "{\"nbci\": \"1\", \"kernels\": [1, [], {}, {\"name\": []}, {\"name\": \"k\"}],"
                    + " \"gpus\": [{}, \"x\"]}")
            .orElseThrow();

    assertEquals(List.of(new Kernel("k", "k", "")), facts.kernels());
    assertEquals(List.of(), facts.gpus());
  }

  @Test
  void factsAreBoundedAndPlain() {
    String kernels =
        IntStream.range(0, 1000)
            .mapToObj(number -> "{\"name\": \"k" + number + "\"}")
            .collect(Collectors.joining(","));
    String text = "{\"nbci\": \"" + "9".repeat(5000) + "\", \"python\": \"3\\n\\u001b[1m\",";

    AgentFacts facts =
        AboutNbci.decode(text + "\"kernels\": [" + kernels + "]}").orElseThrow();

    assertEquals(200, facts.kernels().size());
    assertEquals(201, facts.nbci().length());
    assertEquals("3 [1m", facts.python());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "127 | sh: 1: nbci: not found                                      | NO_NBCI",
        "127 | /usr/bin/env: 'python3': No such file or directory          | NO_PYTHON",
        "126 | nbci: /opt/bin/python: bad interpreter: No such file or directory | NO_PYTHON",
        "126 | sh: 1: nbci: Permission denied                              | NOT_EXECUTABLE",
        "1   | Fatal error in launcher: Unable to create process using x   | NO_PYTHON",
        "2   | \"nbci: error: argument COMMAND: invalid choice: 'about'\"  | OLD_NBCI",
        "2   | \"nbci: there is no command 'about'\"                       | OLD_NBCI",
        "2   | \"ls: unrecognized option '--json'\"                        | FAILED",
        "1   | ModuleNotFoundError: No module named 'nbci'                 | FAILED",
        "70  | \"\"                                                        | FAILED",
        "-9  | \"\"                                                        | FAILED",
      })
  void failures(int exitCode, String errors, Kind kind) throws Exception {
    assertProblem(kind, ask(command -> result(exitCode, "", errors)));
  }

  @Test
  void failureIsToldByItsLastLine() throws Exception {
    AgentProblem problem =
        (AgentProblem) ask(command -> result(1, "", "Traceback\n  x\nKeyError: 'HOME'\n\n"));

    assertEquals("KeyError: 'HOME'", problem.detail());
  }

  @Test
  void failureWithoutAWordIsToldByItsCode() throws Exception {
    AgentProblem problem = (AgentProblem) ask(command -> result(70, "", ""));

    assertTrue(problem.detail().contains("70"));
  }

  /** The messages are those of Java 17 and 25 on Linux, macOS and Windows. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "Cannot run program \"nbci\" (in directory \"/a\"): error=2, No such file | NO_NBCI",
        "Cannot run program \"nbci\": Exec failed, error: 2 (No such file or directory) | NO_NBCI",
        "Cannot run program \"nbci\": CreateProcess error=2, cannot find the file | NO_NBCI",
        "Cannot run program \"/opt\": error=13, Permission denied | NOT_EXECUTABLE",
        "Cannot run program \"/opt\": Exec failed, error: 13 (Permission denied) | NOT_EXECUTABLE",
        "Cannot run program \"x\": CreateProcess error=193, %1 is not valid | NOT_EXECUTABLE",
        "Cannot run program \"x\": error=24, Too many open files | UNREACHABLE",
        "Unexpected termination of the channel | UNREACHABLE",
      })
  void programsThatCannotBeStarted(String message, Kind kind) throws Exception {
    assertProblem(kind, askAndThrow(new IOException(message)));
    // as it comes through the connection to an agent
    assertProblem(kind, askAndThrow(new IOException(message, new IOException(message))));
  }

  @Test
  void causeOfAFailedCallIsFound() throws Exception {
    IOException cause = new IOException("Cannot run program \"nbci\": error=2, No such file");

    assertProblem(Kind.NO_NBCI, askAndThrow(new IOException("remote call failed", cause)));
  }

  @Test
  void errorWithoutAMessage() throws Exception {
    assertProblem(Kind.UNREACHABLE, askAndThrow(new IOException()));
  }

  @Test
  void programThatDidNotEnd() throws Exception {
    AgentAnswer answer =
        ask(command -> new CommandOnAgent.Result(143, ANSWER, "", true));

    assertProblem(Kind.NO_ANSWER_IN_TIME, answer);
  }

  private static AgentAnswer ask(CommandOnAgent machine) throws Exception {
    return new AboutNbci(machine, "agent1", "/opt/nbci").ask();
  }

  private static AgentAnswer askAndThrow(IOException error) throws Exception {
    return ask(
        command -> {
          throw error;
        });
  }

  private static CommandOnAgent.Result result(int exitCode, String output, String errors) {
    return new CommandOnAgent.Result(exitCode, output, errors, false);
  }

  private static void assertProblem(Kind kind, AgentAnswer answer) {
    assertTrue(answer instanceof AgentProblem, answer::toString);
    AgentProblem problem = (AgentProblem) answer;
    assertEquals(kind, problem.kind());
    assertEquals("agent1", problem.agent());
    assertEquals("/opt/nbci", problem.command());
  }
}
