package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nbci.jenkins.settings.FieldCheck.Severity;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class FieldChecksTest {
  @ParameterizedTest
  @CsvSource({
    "'', FINE",
    "nbci, FINE",
    "/opt/venv/bin/nbci, FINE",
    "/opt/my venv/bin/nbci, FINE",
    "'C:\\Program Files\\nbci\\nbci.exe', FINE",
    "C:/venv, FINE",
    "$HOME/venv/bin/nbci, FINE",
    "${HOME}/venv/bin/nbci, FINE",
    "~/venv/bin/nbci, WARNING",
    "venv/bin/nbci, WARNING",
    "venv\\Scripts\\nbci.exe, WARNING",
    "python -m nbci, ERROR",
    "nbci --quiet, ERROR",
  })
  void command(String text, Severity severity) {
    assertEquals(severity, FieldChecks.command(text).severity());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nbci\nrm", "nb\0ci", "nb\u001bci"})
  void textsWithControlCharactersAreRefused(String text) {
    assertEquals(Severity.ERROR, FieldChecks.command(text).severity());
    assertEquals(Severity.ERROR, FieldChecks.home(text).severity());
    assertEquals(Severity.ERROR, FieldChecks.storeRemote(text).severity());
  }

  @Test
  void textsAreBounded() {
    String longest = "x".repeat(4096);

    assertEquals(Severity.FINE, FieldChecks.command(longest).severity());
    assertEquals(Severity.ERROR, FieldChecks.command(longest + "x").severity());
    assertEquals(Severity.ERROR, FieldChecks.storeRemote(longest + "x").severity());
  }

  @ParameterizedTest
  @CsvSource({
    "'', FINE",
    "team, FINE",
    "s3://bucket/path, FINE",
    "ssh://git@host/path, FINE",
    "ssh://host:22/path, FINE",
    "https://host/a:b@c, FINE",
    "/mnt/store, FINE",
    "https://user:secret@host/path, ERROR",
    "https://:token@host, ERROR",
  })
  void remote(String text, Severity severity) {
    assertEquals(severity, FieldChecks.storeRemote(text).severity());
  }

  @ParameterizedTest
  @CsvSource({
    "'', FINE", "90, FINE", "90s, FINE", "1h30m, FINE", "2d, FINE", "1.5h, FINE", "0, ERROR",
    "0s, ERROR", "-1, ERROR", "2 hours, ERROR", "2w, ERROR", "h, ERROR", "NaN, ERROR", "1e9, ERROR",
  })
  void runTimeout(String text, Severity severity) {
    assertEquals(severity, FieldChecks.runTimeout(text).severity());
  }

  @ParameterizedTest
  @CsvSource({
    "'', FINE", "2, FINE", "' 50 ', FINE", "500, FINE", "1, ERROR", "501, ERROR", "0, ERROR",
    "-5, ERROR", "many, ERROR", "1.5, ERROR", "99999999999, ERROR",
  })
  void number(String text, Severity severity) {
    assertEquals(severity, FieldChecks.number(text, NbciSettings.TREND_BUILDS).severity());
  }

  @Test
  void refusalSaysWhy() {
    FieldCheck check = FieldChecks.number("1", new Bounds(2, 50, 500));

    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, check::refuseErrors);

    assertTrue(refusal.getMessage().contains("2") && refusal.getMessage().contains("500"));
  }

  @Test
  void warningRefusesNothing() {
    FieldChecks.command("~/nbci").refuseErrors();
  }
}
