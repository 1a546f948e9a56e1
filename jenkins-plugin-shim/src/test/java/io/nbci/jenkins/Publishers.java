package io.nbci.jenkins;

import hudson.AbortException;
import io.nbci.jenkins.State.Context;
import io.nbci.jenkins.Step.Arguments;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;

/** Steps that keep something of a workspace with the build, below the root: `archive/`, `html/`, `issues/`. */
final class Publishers {
    private Publishers() {}

    static Object archive(Engine engine, Context context, Arguments arguments) throws IOException {
        int count = Patterns.copy(Instants.folder(context), engine.jenkins.root.resolve("archive"),
                arguments.text("artifacts"), arguments.text("excludes"));
        if (count == 0 && !arguments.flag("allowEmptyArchive")) {
            throw new AbortException("No artifacts found that match the file pattern \"" + arguments.text("artifacts")
                    + "\". Configuration error?");
        }
        return null;
    }

    /** A build step of the times before pipelines; of those that there are, the one that reads test results. */
    static Object step(Engine engine, Context context, Arguments arguments) throws Exception {
        if (!"JUnitResultArchiver".equals(arguments.text("$class"))) {
            throw new IllegalArgumentException("no known implementation of SimpleBuildStep is " + arguments.text("$class"));
        }
        return junit(engine, context, arguments);
    }

    private static Object junit(Engine engine, Context context, Arguments arguments) throws Exception {
        List<Path> files = Patterns.find(Instants.folder(context), arguments.text("testResults"), "");
        if (files.isEmpty() && !arguments.flag("allowEmptyResults")) {
            throw new AbortException("No test report files were found. Configuration error?");
        }
        int total = 0;
        int failed = 0;
        int skipped = 0;
        for (Path file : files) {
            DocumentBuilder builder = DocumentBuilderFactory.newInstance().newDocumentBuilder();
            Document document = builder.parse(file.toFile());
            total += document.getElementsByTagName("testcase").getLength();
            failed += document.getElementsByTagName("failure").getLength() + document.getElementsByTagName("error").getLength();
            skipped += document.getElementsByTagName("skipped").getLength();
        }
        if (failed > 0 && !arguments.flag("skipMarkingBuildUnstable")) {
            engine.state.worsen("UNSTABLE");
        }
        engine.jenkins.tests = new Jenkins.Tests(total, failed, skipped);
        return null;
    }

    static Object html(Engine engine, Context context, Arguments arguments) throws IOException {
        Path source = Instants.folder(context).resolve(arguments.text("reportDir"));
        if (!Files.isDirectory(source)) {
            engine.jenkins.log(context, "ERROR: Specified HTML directory '" + source + "' does not exist.");
            if (!arguments.flag("allowMissing")) {
                engine.state.worsen("FAILURE");
            }
            return null;
        }
        Patterns.copy(source, engine.jenkins.root.resolve("html").resolve(arguments.text("reportName")), "**", "");
        return null;
    }

    /** What the plugin of nbci keeps; a page that it cannot read costs the step. */
    static Object page(Engine engine, Context context, Arguments arguments) throws IOException {
        if (Files.readString(Instants.folder(context).resolve(arguments.text("file"))).isBlank()) {
            throw new AbortException("page.json is empty");
        }
        engine.state.pages.add(arguments.named);
        return null;
    }

    static Object check(Engine engine, Context context, Arguments arguments) {
        engine.state.checks.add(arguments.named);
        return null;
    }

    static Object issues(Engine engine, Context context, Arguments arguments) throws IOException {
        for (Object tool : arguments.list("tools")) {
            Object pattern = ((Map<?, ?>) tool).get("pattern");
            Patterns.copy(Instants.folder(context), engine.jenkins.root.resolve("issues"), String.valueOf(pattern), "");
        }
        return null;
    }
}
