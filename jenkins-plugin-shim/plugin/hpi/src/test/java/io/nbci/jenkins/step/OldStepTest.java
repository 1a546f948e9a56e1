package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.thoughtworks.xstream.XStream;
import com.thoughtworks.xstream.converters.reflection.ReflectionConverter;
import com.thoughtworks.xstream.security.AnyTypePermission;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Steps as jobs have saved them, read the way Jenkins reads them. */
class OldStepTest {
  private final XStream xstream = new XStream();

  OldStepTest() {
    xstream.addPermission(AnyTypePermission.ANY);
    xstream.alias(OldStep.CLASS_NAME, NotebookBuilder.class);
    xstream.ignoreUnknownElements();
    // Jenkins reads fields that are transient by now:
    // https://github.com/jenkinsci/jenkins/blob/master/core/src/main/java/hudson/util/RobustReflectionConverter.java
    xstream.registerConverter(
        new ReflectionConverter(xstream.getMapper(), xstream.getReflectionProvider()) {
          @Override
          @SuppressWarnings("rawtypes")
          public boolean canConvert(Class type) {
            return type == NotebookBuilder.class;
          }

          @Override
          protected boolean shouldUnmarshalTransientFields() {
            return true;
          }
        });
  }

  @Test
  void typedCodeOfTheOldPluginIsACell() {
    NotebookBuilder step =
        read(
            """
            <io.jenkins.plugins.ml.IPythonBuilder plugin="machine-learning@1.0">
              <code>print(&quot;hello&quot;)</code>
              <parserType>text</parserType>
              <task>Train it</task>
              <kernelName>python</kernelName>
            </io.jenkins.plugins.ml.IPythonBuilder>""");

    assertEquals("", step.getTarget());
    assertEquals("print(\"hello\")", step.getCells().get(0).getCode());
    assertEquals("python3", step.getKernel());
    assertEquals("train-it", step.getName());
  }

  @Test
  void fileOfTheOldPluginIsTheTarget() {
    NotebookBuilder step =
        read(
            """
            <io.jenkins.plugins.ml.IPythonBuilder>
              <code></code>
              <filePath>notebooks/train.ipynb</filePath>
              <parserType>file</parserType>
              <task>t</task>
              <kernelName>python3</kernelName>
            </io.jenkins.plugins.ml.IPythonBuilder>""");

    assertEquals("notebooks/train.ipynb", step.getTarget());
    assertEquals(0, step.getCells().size());
    // its code ran in the workspace, wherever the file lay
    assertEquals(".", step.getFolder());
  }

  @Test
  void whatWasReadIsWrittenAsAStepOfNbci() {
    NotebookBuilder step =
        read(
            """
            <io.jenkins.plugins.ml.IPythonBuilder>
              <filePath>train.ipynb</filePath><parserType>file</parserType><task>t</task>
            </io.jenkins.plugins.ml.IPythonBuilder>""");

    String written = xstream.toXML(step);

    assertEquals(-1, written.indexOf("parserType"), written);
    NotebookBuilder again = (NotebookBuilder) xstream.fromXML(written);
    assertEquals("train.ipynb", again.getTarget());
  }

  @Test
  void cellsAreWrittenAsAPlainList() {
    NotebookBuilder step = new NotebookBuilder();
    step.setCells(List.of(new NotebookCell("print(1)")));

    String written = xstream.toXML(step);

    assertEquals(-1, written.indexOf("java.util"), written);
  }

  @Test
  void stepOfAnotherVersionOfThePluginIsRead() {
    NotebookBuilder step =
        read(
            """
            <io.nbci.jenkins.step.NotebookBuilder plugin="nbci@9">
              <target>a.ipynb</target><ofALaterVersion><x>1</x></ofALaterVersion>
            </io.nbci.jenkins.step.NotebookBuilder>""");

    assertEquals("a.ipynb", step.getTarget());
    assertEquals(0, step.getSecrets().size());
    assertEquals("", step.getRunTimeout());
  }

  private NotebookBuilder read(String xml) {
    return (NotebookBuilder) xstream.fromXML(xml);
  }
}
