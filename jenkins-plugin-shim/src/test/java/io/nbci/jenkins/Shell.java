package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Outcome;
import hudson.AbortException;
import io.nbci.jenkins.State.Branch;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The step `sh`. The process leaves its output and its exit status in files, so that it is found again after a restart.
 * An interruption sends SIGTERM to all of the tree, three times, and never SIGKILL.
 */
final class Shell extends Step {
    private static final long serialVersionUID = 1;
    private static final long SIGNALS_APART_MILLISECONDS = 5000;
    private static final int SIGNALS = 3;

    private String control;
    private List<Long> processes = new ArrayList<>();
    private int shown;
    private Throwable interruption;
    private int signals;
    private long nextSignal;

    @Override
    void start(Engine engine, Branch branch) throws IOException {
        Path folder = Files.createDirectories(Instants.folder(branch.context));
        Path files = Files.createTempDirectory(Files.createDirectories(engine.jenkins.root.resolve("durable")), "sh");
        control = files.toString();
        String script = arguments.text("script");
        String command = script.startsWith("#!") ? "chmod +x '%1$s/script' && '%1$s/script'" : "sh -xe '%1$s/script'";
        Files.writeString(files.resolve("script"), script);
        Files.writeString(files.resolve("wrapper"), ("( " + command + " ) > '%1$s/output' "
                + (arguments.flag("returnStdout") ? "2> '%1$s/errors'" : "2>&1")
                + "; echo $? > '%1$s/status.new'; mv '%1$s/status.new' '%1$s/status'\n").formatted(control));
        ProcessBuilder builder = new ProcessBuilder("sh", files.resolve("wrapper").toString());
        builder.directory(folder.toFile());
        builder.redirectInput(new File("/dev/null"));
        builder.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD);
        Map<String, String> environment = builder.environment();
        environment.putAll(engine.jenkins.environment);
        environment.putAll(engine.state.env);
        branch.context.env().forEach((name, value) -> {
            if (name.startsWith("PATH+")) {
                environment.merge("PATH", value, (before, first) -> first + ":" + before);
            } else {
                environment.put(name, value);
            }
        });
        for (Map.Entry<String, String> variable : environment.entrySet()) {
            if (variable.getKey().length() + variable.getValue().length() > 131_000) {
                throw new IOException("Cannot run program \"nohup\": error=7, Argument list too long");
            }
        }
        Process process = builder.start();
        processes.add(process.pid());
        engine.wakeAfter(branch, process.toHandle());
    }

    @Override
    void wake(Engine engine, Branch branch) throws IOException {
        if (ended) {
            return;
        }
        Path files = Path.of(control);
        boolean alive = processes.stream().anyMatch(Shell::lives);
        if (interruption != null) {
            if (alive && System.currentTimeMillis() >= nextSignal && signals < SIGNALS) {
                signal();
            }
            if (alive && (signals < SIGNALS || System.currentTimeMillis() < nextSignal)) {
                engine.wakeIn(branch, 20);
                return;
            }
            show(engine, branch, files.resolve("output"));
            end(engine, branch, new Outcome(null, interruption));
            return;
        }
        Path status = files.resolve("status");
        if (!Files.exists(status) && alive) {
            return;
        }
        boolean stdout = arguments.flag("returnStdout");
        show(engine, branch, files.resolve(stdout ? "errors" : "output"));
        int code = Files.exists(status) ? Integer.parseInt(Files.readString(status).trim()) : -1;
        if (arguments.flag("returnStatus")) {
            end(engine, branch, new Outcome(code, null));
        } else if (code != 0) {
            end(engine, branch, new Outcome(null, new AbortException("script returned exit code " + code)));
        } else {
            end(engine, branch, new Outcome(stdout ? Files.readString(files.resolve("output")) : null, null));
        }
    }

    @Override
    void interrupt(Engine engine, Branch branch, Throwable why) {
        if (interruption == null && !ended) {
            interruption = why;
            engine.jenkins.log(branch.context, "Sending interrupt signal to process");
            ProcessHandle.of(processes.get(0)).ifPresent(main -> main.descendants().forEach(p -> processes.add(p.pid())));
            signal();
            engine.wakeIn(branch, 20);
        }
    }

    private void signal() {
        signals++;
        nextSignal = System.currentTimeMillis() + SIGNALS_APART_MILLISECONDS;
        processes.forEach(pid -> ProcessHandle.of(pid).ifPresent(ProcessHandle::destroy));
    }

    private static boolean lives(long pid) {
        return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
    }

    private void show(Engine engine, Branch branch, Path file) throws IOException {
        if (Files.exists(file)) {
            byte[] all = Files.readAllBytes(file);
            String text = new String(Arrays.copyOfRange(all, shown, all.length), StandardCharsets.UTF_8);
            text.lines().forEach(line -> engine.jenkins.log(branch.context, line));
            shown = all.length;
        }
    }
}
