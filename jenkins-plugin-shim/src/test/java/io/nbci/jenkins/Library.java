package io.nbci.jenkins;

import com.cloudbees.groovy.cps.CpsTransformer;
import com.cloudbees.groovy.cps.NonCPS;
import groovy.lang.Binding;
import groovy.lang.GroovyShell;
import groovy.lang.Script;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.codehaus.groovy.control.CompilerConfiguration;
import org.codehaus.groovy.control.customizers.ImportCustomizer;

/** The shared library and the script of the job, compiled as Jenkins compiles them. */
final class Library {
    /** The folder of `vars/`, and what stands for plugins that are written in Groovy themselves. */
    static final Path SHIM = Path.of(System.getProperty("nbci.shim", ".")).toAbsolutePath().normalize();

    private static Library compiled;

    private final GroovyShell shell;
    private final Map<String, Script> globals = new LinkedHashMap<>();

    Library() throws IOException {
        CompilerConfiguration configuration = new CompilerConfiguration();
        configuration.setScriptBaseClass(PipelineScript.class.getName());
        configuration.addCompilationCustomizers(
                new ImportCustomizer().addImports(NonCPS.class.getName()), new CpsTransformer());
        shell = new GroovyShell(Library.class.getClassLoader(), new Binding(), configuration);
        shell.getClassLoader().addClasspath(SHIM.resolve("src").toString());
        for (Path folder : List.of(SHIM.resolve("vars"), SHIM.resolve("src/test/resources/plugins"))) {
            for (Path file : scripts(folder)) {
                String name = file.getFileName().toString();
                globals.put(name.substring(0, name.length() - ".groovy".length()), shell.parse(Files.readString(file), name));
            }
        }
    }

    /** The library as it was compiled once: its scripts keep nothing of a build. */
    static synchronized Library compiled() throws IOException {
        if (compiled == null) {
            compiled = new Library();
        }
        return compiled;
    }

    static List<Path> scripts(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".groovy")).sorted().toList();
        }
    }

    /** All that the library consists of: `vars/` and its classes. */
    static List<Path> sources() throws IOException {
        List<Path> sources = new ArrayList<>(scripts(SHIM.resolve("vars")));
        try (Stream<Path> files = Files.walk(SHIM.resolve("src/io"))) {
            files.filter(file -> file.toString().endsWith(".groovy")).sorted().forEach(sources::add);
        }
        return sources;
    }

    /** The name of the class is part of what is saved, so it is always the same. */
    Script job(String text) {
        return shell.parse(text, "WorkflowScript.groovy");
    }

    /** The global variable of that name, or null. */
    Script global(String name) {
        return globals.get(name);
    }

    ClassLoader loader() {
        return shell.getClassLoader();
    }
}
