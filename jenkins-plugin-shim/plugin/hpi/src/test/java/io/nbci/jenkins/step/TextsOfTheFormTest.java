package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.step.TargetCheck.Answer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextsOfTheFormTest {
  @ParameterizedTest
  @CsvSource({
    "'',NOTHING_GIVEN", "train.ipynb,FINE", "pipelines/digits.yaml,FINE", "gone.ipynb,NOT_THERE",
    "$NAME.ipynb,FINE", "run:1.py,NOT_THERE", "note.json,OTHER_KIND", "../secret.ipynb,OUTSIDE", "/etc/x.py,OUTSIDE",
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
