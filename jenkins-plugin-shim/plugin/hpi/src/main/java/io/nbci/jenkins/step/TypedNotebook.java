package io.nbci.jenkins.step;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** The notebook that typed cells are run as: nbformat 4.5, a code cell each. */
final class TypedNotebook {
  private static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();
  private static final Pattern NO_FILE_NAME = Pattern.compile("[^A-Za-z0-9_-]+");
  private static final String FOLDER = ".nbci/build/";
  private static final Set<List<Object>> IN_USE = ConcurrentHashMap.newKeySet();

  private TypedNotebook() {}

  /**
   * Takes a place to write it to, below a workspace, until {@link #release}. The path stays the same
   * from build to build: nbci compares a run with earlier ones of the same notebook. Only beside
   * another step of the same name, in a branch that shares the workspace, it is a numbered one.
   */
  static String take(Object workspace, String name) {
    String stem = NO_FILE_NAME.matcher(name).replaceAll("-");
    String first = FOLDER + (stem.isEmpty() ? "code" : stem);
    String path = first + ".ipynb";
    for (int number = 2; !IN_USE.add(List.of(workspace, path)); number++) {
      path = first + "-" + number + ".ipynb";
    }
    return path;
  }

  static void release(Object workspace, String path) {
    IN_USE.remove(List.of(workspace, path));
  }

  /** The text of the file; without a kernel, Jupyter's own for Python. */
  static String text(List<NotebookCell> cells, String kernel) {
    String spec = kernel.isEmpty() ? "python3" : kernel;
    List<Map<String, Object>> written =
        IntStream.range(0, cells.size()).mapToObj(at -> cell(at, cells.get(at))).toList();
    return GSON.toJson(
        ordered(
            "nbformat", 4,
            "nbformat_minor", 5,
            "metadata",
                Map.of("kernelspec", ordered("name", spec, "display_name", spec)),
            "cells", written));
  }

  private static Map<String, Object> cell(int at, NotebookCell cell) {
    List<String> tags =
        Arrays.stream(cell.getTags().split("\\s+")).filter(tag -> !tag.isEmpty()).toList();
    // the form sends the line ends of the browser
    String source = cell.getCode().replace("\r\n", "\n");
    return ordered(
        "id", "cell-" + (at + 1),
        "cell_type", "code",
        "metadata", tags.isEmpty() ? Map.of() : Map.of("tags", tags),
        "execution_count", null,
        "outputs", List.of(),
        "source", source);
  }

  private static Map<String, Object> ordered(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      map.put((String) pairs[i], pairs[i + 1]);
    }
    return map;
  }
}
