package io.nbci.jenkins.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.thoughtworks.xstream.XStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The names below are those of files that exist: a change of the classes must still read them. */
class StoredSettingsTest {
  private static final String SETTINGS =
      """
      <io.nbci.jenkins.settings.NbciSettings>
        <command>/opt/nbci/bin/nbci</command>
        <storeRemote>team</storeRemote>
        <runTimeout>2h</runTimeout>
        <maximumPageKilobytes>2048</maximumPageKilobytes>
        <trendBuilds>20</trendBuilds>
      </io.nbci.jenkins.settings.NbciSettings>""";
  private static final String FOLDER =
      """
      <io.nbci.jenkins.settings.NbciFolderProperty>
        <command>/opt/nbci/bin/nbci</command>
        <storeRemote>team</storeRemote>
      </io.nbci.jenkins.settings.NbciFolderProperty>""";

  private final XStream xstream = new XStream();

  @BeforeEach
  void readAsJenkinsDoes() {
    xstream.allowTypesByWildcard(new String[] {"io.nbci.jenkins.**"});
    xstream.ignoreUnknownElements();
  }

  @Test
  void settingsComeBack() {
    NbciSettings settings = (NbciSettings) xstream.fromXML(SETTINGS);

    assertEquals("/opt/nbci/bin/nbci", settings.getCommand());
    assertEquals("team", settings.getStoreRemote());
    assertEquals("2h", settings.getRunTimeout());
    assertEquals(2048, settings.getMaximumPageKilobytes());
    assertEquals(20, settings.getTrendBuilds());
    assertEquals(SETTINGS, xstream.toXML(settings));
  }

  @Test
  void settingsOfAnOlderVersionHaveFewerFields() {
    NbciSettings settings =
        (NbciSettings) xstream.fromXML("<io.nbci.jenkins.settings.NbciSettings/>");

    assertEquals("nbci", settings.getCommand());
    assertEquals("", settings.getStoreRemote());
    assertEquals("", settings.getRunTimeout());
    assertEquals(1024, settings.getMaximumPageKilobytes());
    assertEquals(50, settings.getTrendBuilds());
  }

  @Test
  void settingsOfANewerVersionHaveMoreFields() {
    String newer = SETTINGS.replace("  <command>", "  <later>1</later>\n  <command>");

    NbciSettings settings = (NbciSettings) xstream.fromXML(newer);

    assertEquals("team", settings.getStoreRemote());
  }

  @Test
  void numbersOfAnEditedFileStayWithinTheirBounds() {
    String edited = SETTINGS.replace(">2048<", ">99999999<").replace(">20<", ">-1<");

    NbciSettings settings = (NbciSettings) xstream.fromXML(edited);

    assertEquals(16384, settings.getMaximumPageKilobytes());
    assertEquals(2, settings.getTrendBuilds());
  }

  @Test
  void folderComesBack() {
    NbciFolderProperty folder = (NbciFolderProperty) xstream.fromXML(FOLDER);

    assertEquals(new FolderValues("/opt/nbci/bin/nbci", "team"), folder.values());
    assertEquals(FOLDER, xstream.toXML(folder));
  }

  @Test
  void folderOfAnOlderVersionHasFewerFields() {
    NbciFolderProperty folder =
        (NbciFolderProperty) xstream.fromXML("<io.nbci.jenkins.settings.NbciFolderProperty/>");

    assertEquals(new FolderValues("", ""), folder.values());
    assertEquals(true, folder.isEmpty());
  }
}
