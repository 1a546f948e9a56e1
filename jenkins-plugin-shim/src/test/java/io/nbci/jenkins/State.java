package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Continuable;
import com.cloudbees.groovy.cps.Outcome;
import groovy.lang.Closure;
import java.io.Serializable;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Everything that a running build consists of, and that survives a restart of the controller. */
final class State implements Serializable {
    private static final long serialVersionUID = 1;
    private static final List<String> RESULTS = List.of("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED");

    final Map<Integer, Branch> branches = new TreeMap<>();
    final Deque<Event> events = new ArrayDeque<>();
    final Map<String, String> env = new LinkedHashMap<>();
    final Map<String, Object> params = new LinkedHashMap<>();
    /** Executor, such as {@code linux1} or {@code linux1@2}, to the number of the step that has it. */
    final Map<String, Integer> executors = new LinkedHashMap<>();
    final Map<String, Integer> locks = new LinkedHashMap<>();
    final Set<String> lostAgents = new HashSet<>();
    final List<StageRun> stages = new ArrayList<>();
    final List<Map<String, Object>> checks = new ArrayList<>();
    /** The other jobs that it started, with their parameters. */
    final List<Map<String, Object>> started = new ArrayList<>();
    final List<Map<String, Object>> pages = new ArrayList<>();
    final List<Object> jobProperties = new ArrayList<>();
    int serial;
    String result;
    String description;
    Throwable failure;
    boolean over;

    /** Results only get worse. */
    void worsen(String other) {
        result = worse(result, other);
    }

    static String worse(String one, String other) {
        return one == null || RESULTS.indexOf(other) > RESULTS.indexOf(one) ? other : one;
    }

    int next() {
        return ++serial;
    }

    /** A green thread: the script itself, or the body of a block step. */
    static final class Branch implements Serializable {
        private static final long serialVersionUID = 1;
        int id;
        int parent;
        Context context;
        Continuable program;
        Closure<?> body;
        Step step;
    }

    /** A stage as it ran; a stage without a result of its own took that of the build. */
    static final class StageRun implements Serializable {
        private static final long serialVersionUID = 1;
        final String name;
        String result = "SUCCESS";

        StageRun(String name) {
            this.name = name;
        }
    }

    enum Kind { START, WAKE, BODY_ENDED, STEP_ENDED }

    /** Something that happens to a branch; one that comes too late finds another step there, and is dropped. */
    record Event(Kind kind, int branch, int step, int child, Outcome outcome) implements Serializable {}

    /** What block steps give to what they enclose. */
    record Context(String agent, Path folder, Path workspace, int stage, String path, Map<String, String> env)
            implements Serializable {
        Context {
            env = Map.copyOf(env);
        }

        // java.nio.file.Path is not serialisable
        private Object writeReplace() {
            return new Saved(agent, text(folder), text(workspace), stage, path, new LinkedHashMap<>(env));
        }

        private static String text(Path path) {
            return path == null ? null : path.toString();
        }

        Context with(String name, String value) {
            return with(Map.of(name, value));
        }

        Context with(Map<String, String> more) {
            Map<String, String> all = new LinkedHashMap<>(env);
            all.putAll(more);
            return new Context(agent, folder, workspace, stage, path, all);
        }

        Context in(Path other) {
            return new Context(agent, other, workspace, stage, path, env);
        }

        Context on(String otherAgent, Path otherWorkspace) {
            return new Context(otherAgent, otherWorkspace, otherWorkspace, stage, path, env);
        }

        Context inStage(int number) {
            return new Context(agent, folder, workspace, number, path, env);
        }

        Context inBranch(String name) {
            return new Context(agent, folder, workspace, stage, path + "[" + name + "] ", env);
        }

        private record Saved(
                String agent, String folder, String workspace, int stage, String path, Map<String, String> env)
                implements Serializable {
            private Object readResolve() {
                return new Context(agent, file(folder), file(workspace), stage, path, env);
            }

            private static Path file(String text) {
                return text == null ? null : Path.of(text);
            }
        }
    }
}
