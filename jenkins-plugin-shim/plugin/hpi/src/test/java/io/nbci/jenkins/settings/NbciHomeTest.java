package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NbciHomeTest {
  @ParameterizedTest
  @CsvSource({
    "'', nbci",
    "' ', nbci",
    "nbci, nbci",
    "nbci-0.3, nbci-0.3",
    "/opt/venv, /opt/venv/bin/nbci",
    "/opt/venv/, /opt/venv/bin/nbci",
    "/opt/venv//, /opt/venv/bin/nbci",
    "/opt/nbci, /opt/nbci/bin/nbci",
    "/opt/venv/bin, /opt/venv/bin/nbci",
    "/opt/venv/bin/nbci, /opt/venv/bin/nbci",
    "/usr/local/bin/nbci-0.3, /usr/local/bin/nbci-0.3",
    "/usr/bin/venvs, /usr/bin/venvs/bin/nbci",
    "/opt/my venv, /opt/my venv/bin/nbci",
    "/, /bin/nbci",
    "//, /bin/nbci",
  })
  void commandOnUnix(String home, String command) {
    assertEquals(command, new NbciHome(home).command(true));
  }

  @ParameterizedTest
  @CsvSource({
    "'', nbci",
    "nbci, nbci",
    "C:\\venv, C:\\venv\\Scripts\\nbci.exe",
    "C:\\venv\\, C:\\venv\\Scripts\\nbci.exe",
    "C:/venv, C:/venv\\Scripts\\nbci.exe",
    "C:\\venv\\Scripts, C:\\venv\\Scripts\\nbci.exe",
    "C:\\venv\\scripts\\nbci.exe, C:\\venv\\scripts\\nbci.exe",
    "C:\\tools\\nbci.EXE, C:\\tools\\nbci.EXE",
    "C:\\tools\\run.cmd, C:\\tools\\run.cmd",
    "\\\\server\\share\\venv, \\\\server\\share\\venv\\Scripts\\nbci.exe",
  })
  void commandOnWindows(String home, String command) {
    assertEquals(command, new NbciHome(home).command(false));
  }

  @ParameterizedTest
  @CsvSource({
    "'', ''",
    "nbci, ''",
    "/opt/venv, /opt/venv/bin",
    "/opt/venv/bin/nbci, /opt/venv/bin",
    "/, /bin",
    "C:\\venv, C:\\venv\\Scripts",
    "C:\\tools\\nbci.exe, C:\\tools",
  })
  void folderForThePath(String home, String folder) {
    assertEquals(folder, new NbciHome(home).commandsFolder());
  }

  @Test
  void homeThatWasNeverSet() {
    assertEquals("nbci", new NbciHome(null).command(true));
  }
}
