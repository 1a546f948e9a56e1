package io.nbci.jenkins.parameters;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.thoughtworks.xstream.XStream;
import hudson.EnvVars;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The names below are those of jobs and builds that exist. */
class StoredParametersTest {
  private static final String VALUE =
      """
      <io.nbci.jenkins.parameters.NotebookParametersValue>
        <name>notebook</name>
        <values>
          <entry>
            <string>C</string>
            <string>0.5</string>
          </entry>
        </values>
      </io.nbci.jenkins.parameters.NotebookParametersValue>""";

  private final XStream xstream = new XStream();

  @BeforeEach
  void readAsJenkinsDoes() {
    xstream.allowTypesByWildcard(new String[] {"io.nbci.jenkins.**"});
    xstream.ignoreUnknownElements();
  }

  @Test
  void valueComesBack() {
    NotebookParametersValue value = (NotebookParametersValue) xstream.fromXML(VALUE);

    assertEquals(new NotebookParametersValue("notebook", Map.of("C", "0.5")), value);
    assertEquals(VALUE, xstream.toXML(value));
  }

  @Test
  void valueOfAnotherVersion() {
    NotebookParametersValue value =
        (NotebookParametersValue)
            xstream.fromXML(
                "<io.nbci.jenkins.parameters.NotebookParametersValue><name>n</name><later>1</later>"
                    + "</io.nbci.jenkins.parameters.NotebookParametersValue>");
    EnvVars environment = new EnvVars();

    value.buildEnvironment(null, environment);

    assertEquals(Map.of(), value.getValue());
    assertEquals(Map.of(), environment);
    assertEquals(
        "n: " + Messages.NotebookParametersValue_defaults(), value.getShortDescription());
  }

  @Test
  void definitionOfAnOlderVersionHasNoTarget() {
    NotebookParametersDefinition definition =
        (NotebookParametersDefinition)
            xstream.fromXML("<io.nbci.jenkins.parameters.NotebookParametersDefinition/>");

    assertEquals("", definition.getTarget());
  }

  @Test
  void definitionComesBack() {
    NotebookParametersDefinition definition = new NotebookParametersDefinition("notebook");
    definition.setTarget(" pipelines/churn.yaml ");

    String xml = xstream.toXML(definition);

    assertTrue(xml.contains("<target>pipelines/churn.yaml</target>"), xml);
    assertEquals(
        "pipelines/churn.yaml", ((NotebookParametersDefinition) xstream.fromXML(xml)).getTarget());
  }

  @Test
  void valuesBecomeVariables() {
    EnvVars environment = new EnvVars(Map.of("PATH", "/bin"));
    Map<String, String> values = Map.of("C", "0.5", "PATH", "x");

    new NotebookParametersValue("notebook", values).buildEnvironment(null, environment);

    assertEquals(
        Map.of("PATH", "/bin", "NBCI_PARAM_C", "0.5", "NBCI_PARAM_PATH", "x"), environment);
  }

  /** Jenkins expands the environment of a build. */
  @Test
  void dollarsAreDoubled() {
    EnvVars environment = new EnvVars();

    new NotebookParametersValue("notebook", Map.of("price", "$5 or ${HOME}"))
        .buildEnvironment(null, environment);

    assertEquals(Map.of("NBCI_PARAM_price", "$$5 or $${HOME}"), environment);
  }

  /** Jenkins folds builds in the queue that are equal. */
  @Test
  void buildsWithOtherValuesAreOthers() {
    NotebookParametersValue one = new NotebookParametersValue("notebook", Map.of("C", "1"));

    assertEquals(one, new NotebookParametersValue("notebook", Map.of("C", "1")));
    assertEquals(
        one.hashCode(), new NotebookParametersValue("notebook", Map.of("C", "1")).hashCode());
    assertNotEquals(one, new NotebookParametersValue("notebook", Map.of("C", "2")));
    assertNotEquals(one, new NotebookParametersValue("other", Map.of("C", "1")));
  }

  @Test
  void valueIsOneShortLine() {
    Map<String, String> values = new LinkedHashMap<>();
    values.put("C", "0.5");
    values.put("query", "a\n b");

    assertEquals(
        "notebook: C=0.5, query=a b",
        new NotebookParametersValue("notebook", values).getShortDescription());
    values.put("long", "x".repeat(500));
    assertEquals(
        201, new NotebookParametersValue("notebook", values).getShortDescription().length());
  }

  @Test
  void nobodyChangesAValueThroughItsMap() {
    NotebookParametersValue value = new NotebookParametersValue("notebook", Map.of("C", "1"));

    value.getValue().put("D", "2");

    assertEquals(Map.of("C", "1"), value.getValue());
  }
}
