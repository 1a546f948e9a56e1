package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RunCommandTest {
  @Test
  void onlyWhatWasGivenBecomesAnArgument() {
    RunCommand command = command("train.ipynb", Map.of(), "", false);

    assertEquals(
        List.of("nbci", "run", "--out", ".nbci/build/notebook", "--", "train.ipynb"),
        command.arguments());
  }

  @Test
  void everythingGivenBecomesAnArgument() {
    Map<String, String> parameters = new LinkedHashMap<>();
    parameters.put("C", "10");
    parameters.put("text", "two words; $(rm -rf x)");
    RunCommand command =
        new RunCommand(
            "/opt/nbci", "p.yaml", "out", parameters, "ir", "split", "train", "only", "work",
            "requirements.lock", "2h", "20m", true);

    assertEquals(
        List.of(
            "/opt/nbci", "run", "--out", "out", "-p", "C=10", "-p",
            "text=two words; $(rm -rf x)", "--kernel=ir", "--from=split", "--until=train",
            "--only=only", "--in=work", "--environment=requirements.lock", "--run-timeout=2h",
            "--cell-timeout=20m", "--no-gate", "--", "p.yaml"),
        command.arguments());
  }

  @Test
  void noValueBecomesAnOption() {
    RunCommand command = command("--force", Map.of(), "--quiet", false);

    List<String> arguments = command.arguments();

    assertEquals(List.of("--kernel=--quiet", "--", "--force"), arguments.subList(4, 7));
  }

  private static RunCommand command(
      String target, Map<String, String> parameters, String kernel, boolean informs) {
    return new RunCommand(
        "nbci", target, ".nbci/build/notebook", parameters, kernel, "", "", "", "", "", "", "",
        informs);
  }
}
