package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.step.TargetCheck.Answer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TextsOfTheFormTest {
  @Test
  void parametersAreLines() {
    assertEquals(
        Map.of("C", "10", "text", "a=b", "empty", ""),
        ParameterLines.parse("# for the night\n C = 10 \n\ntext=a=b\r\nempty="));
  }

  @ParameterizedTest
  @ValueSource(strings = {"C", "=1", "a b=1", "1a=2", "-p=1"})
  void lineThatIsNoParameterIsNamed(String line) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> ParameterLines.parse("C=1\n" + line));

    assertTrue(refused.getMessage().contains("line 2"), refused.getMessage());
    assertTrue(refused.getMessage().contains(line), refused.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"90", "90s", "1.5h", "1h30m", "2d"})
  void lengthsOfTime(String text) {
    assertTrue(TimeText.isLength(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "h", "5 minutes", "-1", "1w", "5min"})
  void noLengthsOfTime(String text) {
    assertTrue(!TimeText.isLength(text));
  }

  @ParameterizedTest
  @CsvSource({
    "'',NOTHING_GIVEN", "train.ipynb,FINE", "pipelines/digits.yaml,FINE", "gone.ipynb,NOT_THERE",
    "$NAME.ipynb,FINE", "note.json,OTHER_KIND", "../secret.ipynb,OUTSIDE", "/etc/x.py,OUTSIDE",
    "a/../../x.py,OUTSIDE", "C:\\x.py,OUTSIDE", "\\\\host\\x.py,OUTSIDE", "$A/../x.py,OUTSIDE"
  })
  void targetIsLookedForInTheWorkspaceOnly(String target, Answer expected) throws Exception {
    List<String> there = List.of("train.ipynb", "pipelines/digits.yaml");

    Answer answer =
        TargetCheck.answer(
            target,
            path -> {
              assertTrue(!path.contains("..") && !path.startsWith("/"), path);
              return there.contains(path);
            });

    assertEquals(expected, answer);
  }

  @Test
  void secretsAreMaskedTheLongerOnesFirst() {
    List<String> secrets = MaskedOutput.longestFirst(List.of("abc", "abcdef", " ", "one\ntwo"));

    assertEquals("x **** **** **** y", MaskedOutput.mask("x abcdef abc one y", secrets));
  }

  @Test
  void secretOfOtherLettersIsMaskedInItsBytes() {
    List<String> secrets = MaskedOutput.longestFirst(List.of("größe"));
    String bytes =
        new String(
            "die größe".getBytes(java.nio.charset.StandardCharsets.UTF_8),
            java.nio.charset.StandardCharsets.ISO_8859_1);

    assertEquals("die ****", MaskedOutput.mask(bytes, secrets));
  }
}
