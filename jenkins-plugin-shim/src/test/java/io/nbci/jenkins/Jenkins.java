package io.nbci.jenkins;

import io.nbci.jenkins.State.Context;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** A controller with agents on this machine, on which a test runs one build. */
final class Jenkins {
    /** A machine that is lent to builds. */
    record Agent(String name, int executors, List<String> labels) {
        /** Labels, their names and `&&` are understood; without a label, any agent will do. */
        boolean carries(String expression) {
            return Arrays.stream(expression.split("&&"))
                    .map(String::trim)
                    .allMatch(label -> label.isEmpty() || label.equals(name) || labels.contains(label));
        }
    }

    /** What `junit` counted. */
    record Tests(int total, int failed, int skipped) {}

    final Path root;
    /** What `checkout scm` brings. */
    Path project;
    final Map<String, Agent> agents = new LinkedHashMap<>();
    final Map<String, String> environment = new LinkedHashMap<>();
    /** What the job's own environment holds, such as CHANGE_ID. */
    final Map<String, String> job = new LinkedHashMap<>();
    /** The classes of what started the build. */
    final List<String> causes = new ArrayList<>(List.of("hudson.model.Cause$UserIdCause"));
    /** What the builds before this one have put into their environments, the last one first. */
    final List<Map<String, String>> before = new ArrayList<>();
    /** Other jobs, which builds may start. */
    final List<String> jobs = new ArrayList<>();
    /** What a person says who is asked. */
    String answer = "";
    final Map<String, Object> params = new LinkedHashMap<>();
    final Map<String, String> credentials = new LinkedHashMap<>();
    /** After how many events the build is written down and read again; 0 for never. */
    int restartEvery;
    int restarts;
    Duration patience = Duration.ofSeconds(60);
    Tests tests;
    private final Set<String> missing = new HashSet<>();
    private final List<String> log = new ArrayList<>();
    private Consumer<Engine> watcher = engine -> {};

    Jenkins(Path root) throws IOException {
        this.root = Files.createDirectories(root).toAbsolutePath();
        this.project = Files.createDirectories(root.resolve("project"));
    }

    Jenkins agent(String name, int executors, String... labels) {
        agents.put(name, new Agent(name, executors, List.of(labels)));
        return this;
    }

    /** Without the plugins that bring these steps. */
    Jenkins without(String... steps) {
        missing.addAll(List.of(steps));
        return this;
    }

    boolean has(String step) {
        return !missing.contains(step);
    }

    /** Called between any two events of the build. */
    Jenkins watch(Consumer<Engine> other) {
        watcher = other;
        return this;
    }

    void betweenEvents(Engine engine) {
        watcher.accept(engine);
    }

    /** Runs a job's script to its end. */
    State run(String script) throws Exception {
        Engine engine = new Engine(this, Library.compiled());
        engine.state.env.putAll(Map.of("JOB_NAME", "job", "BUILD_NUMBER", "1", "BUILD_TAG", "jenkins-job-1", "CI", "true"));
        engine.state.env.putAll(job);
        engine.state.params.putAll(params);
        engine.begin(engine.library.job(script));
        engine.loop();
        return engine.state;
    }

    synchronized void log(Context context, String line) {
        log.add((context == null ? "" : context.path()) + line);
        if (Boolean.getBoolean("nbci.log")) {
            System.out.println(log.get(log.size() - 1));
        }
    }

    synchronized List<String> log() {
        return List.copyOf(log);
    }

    boolean logged(String text) {
        return log().stream().anyMatch(line -> line.contains(text));
    }
}
