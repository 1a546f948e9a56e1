package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.thoughtworks.xstream.XStream;
import com.thoughtworks.xstream.security.AnyTypePermission;
import hudson.model.Action;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Constructor;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A page in a build's record, and on cores without tabs. */
class NotebookPageTest {
  @TempDir Path folder;

  @Test
  void theRecordOfABuildHasNumberAndPlaceOnly() {
    NotebookPage page = HandedOver.page(new FakeJob(folder).build(), Samples.full());
    page.record();

    String xml = xstream().toXML(page);

    assertEquals(
        """
        <io.nbci.jenkins.page.NotebookPage>
          <number>1</number>
          <report>artifact/report/</report>
        </io.nbci.jenkins.page.NotebookPage>""",
        xml);
  }

  @Test
  void aLoadedPageReadsItsFileAgain() {
    FakeRun run = new FakeJob(folder).build();
    NotebookPage page = HandedOver.page(run, Samples.full());

    NotebookPage loaded = (NotebookPage) xstream().fromXML(xstream().toXML(page));
    loaded.onLoad(run);

    assertEquals("churn", loaded.getContent().getRecord().pipeline());
    assertSame(loaded.record().get(), loaded.record().get());
  }

  @Test
  void aRecordOfAnotherVersionLoads() {
    FakeRun run = new FakeJob(folder).build();
    HandedOver.page(run, Samples.full());
    String xml = "<io.nbci.jenkins.page.NotebookPage><number>1</number>"
        + "</io.nbci.jenkins.page.NotebookPage>";

    NotebookPage loaded = (NotebookPage) xstream().fromXML(xml);
    loaded.onLoad(run);

    assertEquals("", loaded.getContent().href("index.html"));
  }

  @Test
  void aPlaceOfTheReportFromAnotherRecordIsCheckedAgain() {
    FakeRun run = new FakeJob(folder).build();
    HandedOver.page(run, Samples.full());
    String xml = "<io.nbci.jenkins.page.NotebookPage><number>1</number>"
        + "<report>javascript:alert(1)//</report></io.nbci.jenkins.page.NotebookPage>";

    NotebookPage loaded = (NotebookPage) xstream().fromXML(xml);
    loaded.onLoad(run);

    assertEquals("", loaded.getContent().href("index.html"));
  }

  /** The step is saved in the configuration of a job. */
  @Test
  void theStepOfAJobKeepsItsFields() {
    PageStep step = new PageStep("build/page.json", "artifact/report/");

    PageStep loaded = (PageStep) xstream().fromXML(xstream().toXML(step));
    PageStep empty =
        (PageStep) xstream().fromXML("<io.nbci.jenkins.page.PageStep/>");

    assertEquals("build/page.json", loaded.getFile());
    assertEquals("artifact/report/", loaded.getReport());
    assertEquals("", empty.getFile());
    assertEquals("", empty.getReport());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"page.json", ".nbci/build/1/page.json", "my files/page.json", "a\\p.json"})
  void aFileBelowTheWorkspaceIsTaken(String file) {
    assertTrue(WorkspacePath.isBelow(file));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "/etc/passwd", "../x", "a/../../x", "a\\..\\..\\x", "C:\\x", "\\\\h\\x"
      })
  void aFileElsewhereIsNot(String file) {
    assertFalse(WorkspacePath.isBelow(file));
  }

  @Test
  void aFileOutsideTheWorkspaceIsRefused() {
    PageStep step = new PageStep("/var/jenkins/secrets/page.json", "");

    Exception refused =
        assertThrows(
            hudson.AbortException.class, () -> step.perform(null, null, null, null, null));

    assertTrue(refused.getMessage().contains("/var/jenkins/secrets/page.json"));
  }

  /** Jenkins looks at the public methods, and leaves the extension out when that fails. */
  @Test
  void withoutTabsInTheCoreTheFactoryCannotBeLoadedAndThePageCan() throws Exception {
    ClassLoader old = new CoreWithoutTabs();
    Class<?> factory = Class.forName(NotebookTabFactory.class.getName(), true, old);
    Class<?> page = Class.forName(NotebookPage.class.getName(), true, old);

    assertThrows(NoClassDefFoundError.class, factory::getMethods);
    assertNotNull(page.getMethod("getIconFileName"));
    Constructor<?> constructor = page.getDeclaredConstructors()[0];
    constructor.setAccessible(true);
    Object made = constructor.newInstance(1, "report/");
    assertEquals(false, page.getMethod("isInTabs").invoke(made));
  }

  @Test
  void aLongNameOfAPipelineIsCut() {
    FakeRun run = new FakeJob(folder).build();
    JsonObject json = Samples.tree(Samples.full());
    json.addProperty("pipeline", "📓".repeat(5_000));
    NotebookPage page = HandedOver.page(run, Samples.bytes(json));
    HandedOver.page(run, Samples.full());

    assertEquals("Notebook: " + "📓".repeat(39) + "…", page.getDisplayName());
  }

  @Test
  void aTabIsItsPage() {
    NotebookPage page = HandedOver.page(new FakeJob(folder).build(), Samples.full());

    Action tab = new NotebookTabFactory().tabOf(page);

    assertEquals("notebook", tab.getUrlName());
    assertEquals(page.getDisplayName(), tab.getDisplayName());
    assertEquals("symbol-journal", tab.getIconFileName());
  }

  private static XStream xstream() {
    XStream xstream = new XStream();
    xstream.addPermission(AnyTypePermission.ANY);
    return xstream;
  }

  /** Loads the plugin's classes anew, where `Tab` and the flags of users are unknown. */
  private static final class CoreWithoutTabs extends ClassLoader {
    CoreWithoutTabs() {
      super(NotebookPageTest.class.getClassLoader());
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (name.equals("jenkins.model.Tab") || name.startsWith("jenkins.model.experimentalflags.")) {
        throw new ClassNotFoundException(name);
      }
      if (!name.startsWith("io.nbci.jenkins.page.")) {
        return super.loadClass(name, resolve);
      }
      Class<?> loaded = findLoadedClass(name);
      return loaded == null ? define(name) : loaded;
    }

    private Class<?> define(String name) throws ClassNotFoundException {
      String file = name.replace('.', '/') + ".class";
      try (InputStream bytes = getParent().getResourceAsStream(file)) {
        byte[] content = bytes.readAllBytes();
        return defineClass(name, content, 0, content.length);
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }

    @Override
    public java.net.URL getResource(String name) {
      return name.equals("jenkins/model/Tab.class") ? null : super.getResource(name);
    }
  }
}
