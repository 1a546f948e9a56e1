package io.nbci.jenkins.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TypedNotebookTest {
  @Test
  void eachCellIsACellOfItsOwn() {
    NotebookCell first = new NotebookCell("x = 1\r\nprint('größe')");
    first.setTags("step:train  prev:split ");
    JsonArray cells = cells(List.of(first, new NotebookCell("# %%\nprint(x)")));

    assertEquals(2, cells.size());
    JsonObject written = cells.get(0).getAsJsonObject();
    assertEquals("x = 1\nprint('größe')", written.get("source").getAsString());
    assertEquals(
        "[\"step:train\",\"prev:split\"]",
        written.getAsJsonObject("metadata").get("tags").toString());
    assertEquals("# %%\nprint(x)", cells.get(1).getAsJsonObject().get("source").getAsString());
    assertFalse(cells.get(1).getAsJsonObject().getAsJsonObject("metadata").has("tags"));
  }

  @Test
  void kernelIsJupytersPythonUnlessNamed() {
    assertEquals("python3", kernel(""));
    assertEquals("ir", kernel("ir"));
  }

  @ParameterizedTest
  @CsvSource({"'',code", "train,train", "a b,a-b", "../../etc/x,-etc-x"})
  void pathStaysInItsFolder(String name, String stem) {
    String path = TypedNotebook.take("w", name);
    TypedNotebook.release("w", path);
    assertEquals(".nbci/build/" + stem + ".ipynb", path);
  }

  @Test
  void stepsSideBySideInOneWorkspaceHaveFilesOfTheirOwn() {
    String first = TypedNotebook.take("shared", "");
    String beside = TypedNotebook.take("shared", "");
    String elsewhere = TypedNotebook.take("another", "");
    TypedNotebook.release("shared", first);
    String after = TypedNotebook.take("shared", "");

    assertEquals(".nbci/build/code.ipynb", first);
    assertEquals(".nbci/build/code-2.ipynb", beside);
    assertEquals(first, elsewhere);
    assertEquals(first, after);
  }

  private static JsonArray cells(List<NotebookCell> cells) {
    return notebook(cells, "").getAsJsonArray("cells");
  }

  private static String kernel(String name) {
    return notebook(List.of(), name)
        .getAsJsonObject("metadata")
        .getAsJsonObject("kernelspec")
        .get("name")
        .getAsString();
  }

  private static JsonObject notebook(List<NotebookCell> cells, String kernel) {
    return JsonParser.parseString(TypedNotebook.text(cells, kernel)).getAsJsonObject();
  }
}
