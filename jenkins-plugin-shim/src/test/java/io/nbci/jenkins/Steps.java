package io.nbci.jenkins;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;

/** The steps that there are, with the arguments that they know. */
final class Steps {
    /** The first of the arguments may go unnamed. */
    private record Kind(Supplier<Step> make, Set<String> arguments) {
        String unnamed() {
            return arguments.isEmpty() ? "value" : arguments.iterator().next();
        }
    }

    private static final Map<String, Kind> KINDS = new HashMap<>();
    /** What describes something to a step and does nothing itself. */
    private static final Set<String> SYMBOLS =
            Set.of("agent", "choice", "nonresumable", "string", "issues", "parameters", "legacySCM", "modernSCM", "cron", "pipelineTriggers");

    private Steps() {}

    static {
        add("echo", Instants::echo, "message");
        add("error", Instants::error, "message");
        add("unstable", Instants::unstable, "message");
        add("readFile", Instants::readFile, "file", "encoding");
        add("writeFile", Instants::writeFile, "file", "text", "encoding");
        add("fileExists", Instants::fileExists, "file");
        add("deleteDir", Instants::deleteDir);
        add("checkout", Instants::checkout, "scm");
        add("stash", Instants::stash, "name", "includes", "excludes", "allowEmpty", "useDefaultExcludes");
        add("unstash", Instants::unstash, "name");
        add("archiveArtifacts", Publishers::archive, "artifacts", "excludes", "allowEmptyArchive", "fingerprint");
        add("step", Publishers::step, "$class", "testResults", "allowEmptyResults", "skipMarkingBuildUnstable");
        add("publishHTML", Publishers::html, "reportDir", "reportFiles", "reportName", "keepAll", "allowMissing",
                "alwaysLinkToLastBuild");
        add("nbciPage", Publishers::page, "file", "report");
        add("publishChecks", Publishers::check, "name", "title", "summary", "conclusion", "detailsURL");
        add("recordIssues", Publishers::issues, "tools", "enabledForFailure", "skipPublishingChecks", "quiet");
        add("nodesByLabel", Instants::nodesByLabel, "label", "offline");
        add("build", Instants::build, "job", "parameters", "wait", "propagate");
        add("input", Instants::input, "message", "ok", "parameters", "submitterParameter");
        add("sleep", (engine, context, arguments) -> null, "time", "unit");
        add("properties", Instants::properties, "properties");
        add("library", (engine, context, arguments) -> null, "identifier", "retriever", "changelog");
        KINDS.put("sh", new Kind(Shell::new, ordered("script", "returnStatus", "returnStdout", "label", "encoding")));
        block("stage", Blocks.Stage::new, "name");
        block("withEnv", Blocks.WithEnv::new, "overrides");
        block("dir", Blocks.Dir::new, "path");
        block("withCredentials", Blocks.WithCredentials::new, "bindings");
        block("withDockerContainer", Blocks.InContainer::new, "image");
        block("catchError", Blocks.CatchError::new, "message", "buildResult", "stageResult", "catchInterruptions");
        block("retry", Blocks.Retry::new, "count", "conditions");
        block("timeout", Blocks.Timeout::new, "time", "unit", "activity");
        block("node", Blocks.Node::new, "label");
        block("waitUntil", Blocks.WaitUntil::new, "initialRecurrencePeriod", "quiet");
        block("lock", Blocks.Lock::new, "resource");
        block("hideFromView", Blocks.Hidden::new);
        KINDS.put("parallel", new Kind(Blocks.Parallel::new, Set.of()));
    }

    private static void add(String name, Step.Action action, String... arguments) {
        KINDS.put(name, new Kind(() -> new Step.Instant(action), ordered(arguments)));
    }

    private static void block(String name, Supplier<Step> make, String... arguments) {
        KINDS.put(name, new Kind(make, ordered(arguments)));
    }

    private static Set<String> ordered(String... names) {
        return new LinkedHashSet<>(java.util.List.of(names));
    }

    static boolean symbol(String name) {
        return SYMBOLS.contains(name);
    }

    private static Set<String> names(Jenkins jenkins) {
        Set<String> names = new TreeSet<>(KINDS.keySet());
        names.removeIf(name -> !jenkins.has(name));
        return names;
    }

    static Step create(Jenkins jenkins, String name, Object[] given) {
        Kind kind = jenkins.has(name) ? KINDS.get(name) : null;
        if (kind == null) {
            throw new NoSuchMethodError("No such DSL method '" + name + "' found among steps " + names(jenkins)
                    + " or symbols [agent, any] or globals [currentBuild, env]");
        }
        Step step = kind.make().get();
        step.name = name;
        step.arguments = new Step.Arguments(given, kind.unnamed());
        if (!kind.arguments().isEmpty()) {
            step.arguments.check(name, kind.arguments());
        }
        return step;
    }
}
