package io.nbci.jenkins;

import hudson.AbortException;
import io.nbci.jenkins.State.Context;
import io.nbci.jenkins.Step.Arguments;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Steps that are over as soon as they have begun. */
final class Instants {
    private Instants() {}

    /** The folder that a step works in; outside of `node` there is none. */
    static Path folder(Context context) {
        if (context.folder() == null) {
            throw new IllegalStateException("Required context class hudson.FilePath is missing");
        }
        return context.folder();
    }

    /** Starts another job, and does not wait for it. */
    static Object build(Engine engine, Context context, Arguments arguments) throws AbortException {
        if (!engine.jenkins.jobs.contains(arguments.text("job"))) {
            throw new AbortException("No item named " + arguments.text("job") + " found");
        }
        engine.state.started.add(arguments.named);
        return null;
    }

    /** What the test says that a person answers; with a submitter's name it is a map. */
    static Object input(Engine engine, Context context, Arguments arguments) {
        if (context.folder() != null) {
            throw new IllegalStateException("a person is asked while an agent is held");
        }
        engine.jenkins.log(context, arguments.text("message"));
        return new LinkedHashMap<>(Map.of("answer", engine.jenkins.answer, arguments.text("submitterParameter"), "ann"));
    }

    static Object echo(Engine engine, Context context, Arguments arguments) {
        engine.jenkins.log(context, arguments.text("message"));
        return null;
    }

    static Object error(Engine engine, Context context, Arguments arguments) throws AbortException {
        throw new AbortException(arguments.text("message"));
    }

    static Object unstable(Engine engine, Context context, Arguments arguments) {
        engine.jenkins.log(context, "WARNING: " + arguments.text("message"));
        engine.state.worsen("UNSTABLE");
        markStage(engine, context, "UNSTABLE");
        return null;
    }

    static void markStage(Engine engine, Context context, String result) {
        if (context.stage() >= 0) {
            State.StageRun stage = engine.state.stages.get(context.stage());
            stage.result = State.worse(stage.result, result);
        }
    }

    static Object readFile(Engine engine, Context context, Arguments arguments) throws IOException {
        return Files.readString(folder(context).resolve(arguments.text("file")));
    }

    static Object writeFile(Engine engine, Context context, Arguments arguments) throws IOException {
        Path file = folder(context).resolve(arguments.text("file"));
        Files.createDirectories(file.getParent());
        Files.writeString(file, arguments.text("text"));
        return null;
    }

    static Object fileExists(Engine engine, Context context, Arguments arguments) {
        return Files.exists(folder(context).resolve(arguments.text("file")));
    }

    static Object deleteDir(Engine engine, Context context, Arguments arguments) throws IOException {
        Patterns.delete(folder(context));
        return null;
    }

    static Object checkout(Engine engine, Context context, Arguments arguments) throws IOException {
        Patterns.copy(engine.jenkins.project, folder(context), "**", ".nbci/**, build/**");
        return null;
    }

    static Object stash(Engine engine, Context context, Arguments arguments) throws IOException {
        String name = arguments.text("name");
        Path target = engine.jenkins.root.resolve("stashes").resolve(name);
        Patterns.delete(target);
        Files.createDirectories(target);
        String includes = arguments.text("includes");
        int count = Patterns.copy(folder(context), target, includes.isEmpty() ? "**" : includes, arguments.text("excludes"));
        if (count == 0 && !arguments.flag("allowEmpty")) {
            throw new AbortException("No files included in stash ‘" + name + "’");
        }
        engine.jenkins.log(context, "Stashed " + count + " file(s)");
        return null;
    }

    static Object unstash(Engine engine, Context context, Arguments arguments) throws IOException {
        Path source = engine.jenkins.root.resolve("stashes").resolve(arguments.text("name"));
        if (!Files.isDirectory(source)) {
            throw new AbortException("No such saved stash ‘" + arguments.text("name") + "’");
        }
        Patterns.copy(source, Files.createDirectories(folder(context)), "**", "");
        return null;
    }

    static Object nodesByLabel(Engine engine, Context context, Arguments arguments) {
        String label = arguments.text("label");
        List<String> found = engine.jenkins.agents.values().stream()
                .filter(agent -> agent.carries(label))
                .map(Jenkins.Agent::name)
                .filter(name -> arguments.flag("offline") || !engine.state.lostAgents.contains(name))
                .toList();
        engine.jenkins.log(context, "Found a total of " + found.size() + " nodes with the '" + label + "' label");
        return new java.util.ArrayList<>(found);
    }

    static Object properties(Engine engine, Context context, Arguments arguments) {
        engine.state.jobProperties.clear();
        engine.state.jobProperties.addAll(arguments.list("properties"));
        return null;
    }
}
