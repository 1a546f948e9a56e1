package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import hudson.EnvVars;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class EffectiveSettingsTest {
  private static final EffectiveSettings GLOBAL = new EffectiveSettings("nbci", "team", "2h");

  @Test
  void withoutFoldersTheControllersCount() {
    assertEquals(GLOBAL, GLOBAL.under(List.of()));
  }

  @Test
  void theNearestFolderThatSaysSomethingCounts() {
    FolderValues nearest = new FolderValues("", "near");
    FolderValues above = new FolderValues("/opt/nbci", "far");

    assertEquals(
        new EffectiveSettings("/opt/nbci", "near", "2h"), GLOBAL.under(List.of(nearest, above)));
  }

  @Test
  void remoteIsAVariable() {
    EnvVars environment = new EnvVars();

    GLOBAL.addTo(environment);

    assertEquals(Map.of("NBCI_STORE_REMOTE", "team"), environment);
  }

  @Test
  void jobsOwnRemoteStays() {
    EnvVars environment = new EnvVars(Map.of("NBCI_STORE_REMOTE", "mine"));

    GLOBAL.addTo(environment);

    assertEquals(Map.of("NBCI_STORE_REMOTE", "mine"), environment);
  }

  @Test
  void noRemoteIsNoVariable() {
    EnvVars environment = new EnvVars();

    new EffectiveSettings("nbci", "", "").addTo(environment);

    assertEquals(Map.of(), environment);
  }
}
