package io.nbci.jenkins;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assertions;

/** A job whose nbci is a script that plans what the test says, and ends its stages as the test says. */
final class Graph {
    final Jenkins jenkins;
    final Path files;
    private final List<String> lines = new ArrayList<>();
    String options = "";

    Graph(Path root) throws IOException {
        this(root, "fail-fast");
    }

    Graph(Path root, String mode) throws IOException {
        files = Files.createDirectories(root.resolve("fake")).toAbsolutePath();
        Path command = root.resolve("nbci").toAbsolutePath();
        Files.copy(Library.SHIM.resolve("src/test/resources/fake-nbci"), command, StandardCopyOption.COPY_ATTRIBUTES);
        jenkins = new Jenkins(root.resolve("jenkins"));
        jenkins.agent("main1", 4, "linux");
        jenkins.environment.put("FAKE", files.toString());
        options = "target: 'p.yaml', label: 'linux', command: '" + command + "'";
        lines.add("nbci-plan 1");
        lines.add("run\t" + mode + "\t");
    }

    /** A stage with the number of its line, after others. */
    Graph stage(String label, Integer... after) {
        return stage(label, "", "", after);
    }

    Graph stage(String label, String secrets, String container, Integer... after) {
        int number = lines.size() - 1;
        String before = List.of(after).stream().map(String::valueOf).collect(Collectors.joining(","));
        lines.add(String.join("\t", "stage", "" + number, "s" + number, label, before, before, "", "2", secrets, container, "s" + number));
        return this;
    }

    Graph line(int at, String text) {
        lines.set(at, text);
        return this;
    }

    /** `end.code`, `end.waits` and so on: how a stage behaves. */
    Graph file(String name, String content) throws IOException {
        Files.writeString(files.resolve(name), content);
        return this;
    }

    /** Lets a stage end that waits. */
    void release(String stage) {
        try {
            Files.delete(files.resolve(stage + ".waits"));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    State run() throws Exception {
        return run("nbciPipeline(" + options + ")");
    }

    State run(String script) throws Exception {
        Files.writeString(files.resolve("stages.txt"), String.join("\n", lines) + "\n");
        return jenkins.run(script);
    }

    /** Runs, and ends with that result. */
    State endsWith(String result) throws Exception {
        State build = run();
        Assertions.assertEquals(result, build.result, () -> String.join("\n", jenkins.log()));
        return build;
    }

    /** What the stages did, in order. */
    List<String> journal() throws IOException {
        Path journal = files.resolve("journal");
        return Files.exists(journal) ? Files.readAllLines(journal) : List.of();
    }

    /** The place of a line in the journal that begins like this; -1 when there is none. */
    int at(String beginning) throws IOException {
        List<String> all = journal();
        return IntStream.range(0, all.size())
                .filter(i -> (all.get(i) + " ").startsWith(beginning + " "))
                .findFirst()
                .orElse(-1);
    }

    long count(String beginning) throws IOException {
        return journal().stream().filter(line -> (line + " ").startsWith(beginning + " ")).count();
    }

    List<String> had(String stage) throws IOException {
        return List.of(Files.readString(files.resolve(stage + ".had")).trim().split(" "));
    }

    Map<String, String> stages(State build) {
        return build.stages.stream().collect(Collectors.toMap(stage -> stage.name, stage -> stage.result, State::worse));
    }
}
