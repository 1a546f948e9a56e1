package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.step.Ending.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EndingTest {
  @Test
  void nbcisOwnWordsCount() {
    String text = "nbci-ending 1\nresult\tunstable\tdigits: refused\ndescription\t⚠️ refused\n";

    Ending ending = Ending.read(text, 3);

    assertEquals(new Ending(Outcome.UNSTABLE, "digits: refused", "⚠️ refused"), ending);
  }

  @Test
  void successOfAProcessThatFailedIsNone() {
    Ending ending = Ending.read("nbci-ending 1\nresult\tsuccess\tdigits: passed\n", 137);

    assertEquals(Outcome.FAILURE, ending.outcome());
    assertTrue(ending.message().contains("137"), ending.message());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "nbci-ending 2\nresult\tsuccess\tx\n", "garbage\u0000", "\n\n"})
  void withoutAWordFromNbciTheStepFails(String text) {
    assertEquals(Outcome.FAILURE, Ending.read(text, 0).outcome());
  }

  @ParameterizedTest
  @CsvSource({
    "1,a step failed", "2,configuration", "3,refused", "4,infrastructure", "5,integrity",
    "70,bug", "127,infrastructure", "130,interrupted", "-9,killed"
  })
  void exitCodeIsExplained(int exitCode, String part) {
    assertTrue(Ending.read("", exitCode).message().contains(part));
  }

  /** The list of codes is nbci's: each of them has words of its own. */
  @Test
  void everyCodeOfNbciIsKnown() throws IOException {
    String table = Files.readString(Path.of("../../../schemas/exit-codes.json"));
    String unknown = Ending.read("", 99).message().replace("99", "");
    java.util.regex.Matcher code =
        java.util.regex.Pattern.compile("\"code\": (\\d+)").matcher(table);
    int found = 0;
    while (code.find()) {
      found++;
      String message = Ending.read("", Integer.parseInt(code.group(1))).message();
      assertTrue(!message.replace(code.group(1), "").equals(unknown), code.group(1));
    }
    assertTrue(found > 5);
  }
}
