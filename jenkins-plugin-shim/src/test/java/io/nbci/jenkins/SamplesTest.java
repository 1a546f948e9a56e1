package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/** The sample pipelines, with nbci itself. */
@EnabledIfSystemProperty(named = "nbci.command", matches = ".+", disabledReason = "-Dnbci.command=… says which nbci to run")
class SamplesTest {
    private static final String COMMAND = System.getProperty("nbci.command");

    @TempDir
    Path folder;

    private Jenkins jenkins;

    @BeforeEach
    void checkoutHasTheSamples() throws Exception {
        jenkins = new Jenkins(folder.resolve("jenkins")).agent("main1", 2, "linux").agent("gpu1", 1, "linux", "cuda");
        jenkins.patience = Duration.ofMinutes(4);
        jenkins.environment.put("XDG_CACHE_HOME", folder.resolve("cache").toString());
        Patterns.copy(Library.SHIM.getParent(), jenkins.project, "pipelines/**, notebooks/**, pyproject.toml", "");
        Process git = new ProcessBuilder("git", "init", "--quiet").directory(jenkins.project.toFile()).start();
        assertEquals(0, git.waitFor()); // without a repository, the project would begin where the pipeline file lies
    }

    @Test
    void wineWithItsSecretOnAgentsThatShareNothing() throws Exception {
        Path database = folder.resolve("wine.sqlite");
        jenkins.credentials.put("wine", database.toString());
        State build = jenkins.run("""
            node('gpu1') { checkout scm; withEnv(['DATABASE=%1$s']) { sh '"$PYTHON" notebooks/wine/make_database.py "$DATABASE"' } }
            def job = nbci.plan(target: 'pipelines/wine.yaml', label: 'linux', command: '%2$s',
              credentials: [WINE_DATABASE: 'wine']) { checkout scm }
            nbci.run(job)
            nbci.finish(job)
            """.formatted(database, COMMAND).replace("$PYTHON", Path.of(COMMAND).resolveSibling("python").toString()));
        assertEquals("SUCCESS", build.result, () -> String.join("\n", jenkins.log()));
        assertTrue(build.description.contains("forest_accuracy"), build.description);
    }

    @Test
    void aGateThatRefusesAndAStepThatFails() throws Exception {
        Files.writeString(jenkins.project.resolve("gate.py"), """
            # %% tags=["step:one"]
            score = 0.5
            # %% tags=["pipeline-metrics"]
            print(score)
            """);
        Files.writeString(jenkins.project.resolve("gate.yaml"), """
            pipeline: gate
            steps: {only: {notebook: gate.py}}
            gates: [{metric: score, at_least: 0.9}]
            """);
        State build = jenkins.run("nbciPipeline(target: 'gate.yaml', label: 'linux', command: '" + COMMAND + "') { checkout scm }");
        assertEquals("UNSTABLE", build.result, () -> String.join("\n", jenkins.log()));
        Files.writeString(jenkins.project.resolve("fails.py"), """
            # %% tags=["step:one"]
            x = 1
            # %% tags=["step:two"]
            y = x / 0
            """);
        Jenkins other = new Jenkins(folder.resolve("other")).agent("main1", 1, "linux");
        other.project = jenkins.project;
        other.environment.putAll(jenkins.environment);
        State failed = other.run("nbciPipeline(target: 'fails.py', label: 'linux', command: '" + COMMAND + "') { checkout scm }");
        assertEquals("FAILURE", failed.result, () -> String.join("\n", other.log()));
        assertTrue(failed.failure.getMessage().contains("step two failed: "), failed.failure.getMessage());
        assertEquals(1, other.tests.failed());
    }

    @Test
    void noGpuIsAskedForWhereItsResultStands() throws Exception {
        Path notebook = jenkins.project.resolve("shared.py");
        Files.writeString(jenkins.project.resolve("pyproject.toml"), "[tool.nbci]\nstore.remote = '" + folder.resolve("remote") + "'\n");
        Files.writeString(notebook, """
            # %% tags=["step:prepare"]
            x = [1, 2]
            # %% tags=["step:train", "agent:cuda"]
            y = sum(x)
            # %% tags=["step:tell"]
            print('it is', y)
            """);
        String script = "nbciPipeline(target: 'shared.py', label: 'linux', checkLabels: false, command: '" + COMMAND + "') { checkout scm }";
        State first = jenkins.run(script);
        assertEquals("SUCCESS", first.result, () -> String.join("\n", jenkins.log()));
        for (String change : List.of("", "print('not the same code')\n")) {
            Files.writeString(notebook, Files.readString(notebook).replace("x = [1, 2]\n", "x = [1, 2]\n" + change));
            Jenkins other = new Jenkins(folder.resolve("other" + change.length())).agent("main1", 1, "linux");
            other.project = jenkins.project;
            other.environment.putAll(jenkins.environment);
            State build = other.run(script);
            assertEquals("SUCCESS", build.result, () -> String.join("\n", other.log()));
            assertTrue(other.logged("no agent is needed: its results stand, of run "));
            assertEquals(change.isEmpty(), !other.logged("nbci step"), () -> String.join("\n", other.log()));
        }
    }

    @Test
    void aSweepOnAgentsThatShareNothing() throws Exception {
        Path ran = folder.resolve("ran");
        Files.writeString(jenkins.project.resolve("pyproject.toml"), "[tool.nbci]\n");
        Files.writeString(jenkins.project.resolve("search.py"), """
            # %%%% tags=["parameters"]
            x = 1
            # %%%% tags=["functions"]
            def note(line):
                open('%1$s', 'a').write(line + '\\n')
            # %%%% tags=["step:load", "cache:enabled"]
            data = 10
            note('load')
            # %%%% tags=["step:fit", "cache:enabled"]
            loss = data / x
            note(f'fit {x}')
            # %%%% tags=["pipeline-metrics"]
            print(loss)
            """.formatted(ran));
        Files.writeString(jenkins.project.resolve("search.yaml"), """
            params: {x: 1}
            steps: {main: {notebook: search.py, params: {x: "${x}"}}}
            metrics: {loss: {direction: down}}
            gates: [{metric: loss, at_most: 5}]
            sweeps: {best: {params: {x: [1, 0, 2]}, objective: "main/fit:loss", method: grid}}
            """);
        State build = jenkins.run(
                "nbciPipeline(target: 'search.yaml', sweep: 'best', parallel: 2, label: 'linux', command: '" + COMMAND + "') { checkout scm }");
        assertEquals("SUCCESS", build.result, () -> String.join("\n", jenkins.log()));
        assertTrue(build.description.startsWith("best: trial 2, main/fit:loss 5 (x=2); 3 trials, "), build.description);
        assertTrue(build.description.contains("✅ search: passed, loss 5"), build.description);
        assertEquals(List.of("fit 1", "fit 2", "load"), Files.readAllLines(ran).stream().sorted().toList());
        assertTrue(jenkins.logged("no agent is needed: its results stand"));
        assertTrue(build.env.containsKey("NBCI_STUDY_nbci_search_yaml_best"));
    }

    @Test
    void aForkThatLowersItsGateAndAsksForASecret() throws Exception {
        Path origin = Files.createDirectories(folder.resolve("origin.git"));
        String notebook = """
            # %% tags=["step:one"]
            import os
            score = 0.5 if "TOKEN" not in os.environ else 0.95
            # %% tags=["pipeline-metrics"]
            print(score)
            """;
        String pipeline = """
            pipeline: gate
            steps: {only: {notebook: gate.py}}
            gates: [{metric: score, at_least: 0.9}]
            """;
        Files.writeString(jenkins.project.resolve("gate.py"), notebook);
        Files.writeString(jenkins.project.resolve("gate.yaml"), pipeline);
        git(origin, "init", "--quiet", "--bare");
        git(jenkins.project, "checkout", "--quiet", "-B", "main");
        git(jenkins.project, "add", "gate.py", "gate.yaml");
        git(jenkins.project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "main");
        git(jenkins.project, "remote", "add", "origin", origin.toString());
        git(jenkins.project, "push", "--quiet", "origin", "main");
        git(jenkins.project, "checkout", "--quiet", "--detach");
        Files.writeString(jenkins.project.resolve("gate.yaml"), pipeline.replace("0.9", "0.1"));
        git(jenkins.project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-a", "-m", "theirs");
        jenkins.job.putAll(Map.of("CHANGE_ID", "12", "CHANGE_FORK", "stranger", "CHANGE_TARGET", "main", "BRANCH_NAME", "PR-12"));
        jenkins.environment.put("TOKEN", "t0ken-of-the-agent");
        String script = "nbciPipeline(target: 'gate.yaml', label: 'linux', command: '" + COMMAND + "') { checkout scm }";
        State build = jenkins.run(script);
        assertEquals("UNSTABLE", build.result, () -> String.join("\n", jenkins.log()));
        assertTrue(build.description.contains("⚠️ gate") && build.description.contains("score 0.5"), build.description);
        Files.writeString(jenkins.project.resolve("gate.yaml"), pipeline.replace("gate.py", "gate.py, secrets: [TOKEN]"));
        git(jenkins.project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-a", "-m", "theirs");
        Jenkins other = new Jenkins(folder.resolve("other")).agent("main1", 1, "linux");
        other.project = jenkins.project;
        other.environment.putAll(jenkins.environment);
        other.job.putAll(jenkins.job);
        other.credentials.put("the-token", "t0ken-of-main");
        State asking = other.run(script.replace("command:", "credentials: [TOKEN: 'the-token'], command:"));
        assertEquals("FAILURE", asking.result);
        assertTrue(asking.failure.getMessage().contains("asks for the secret TOKEN, which builds of forks do not get"), asking.failure.getMessage());
    }

    private static void git(Path place, String... words) throws Exception {
        List<String> command = new java.util.ArrayList<>(List.of("git"));
        command.addAll(List.of(words));
        assertEquals(0, new ProcessBuilder(command).directory(place.toFile()).inheritIO().start().waitFor());
    }

    @Test
    void oneBuildStep() throws Exception {
        Path deep = Files.createDirectories(jenkins.project.resolve("deep"));
        Files.writeString(deep.resolve("plain.txt"), "rows = open('rows.csv').read()\n# %% no cell\nprint('from', rows)\n");
        Files.writeString(deep.resolve("cells.ipynb"), """
            {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{"cell_type": "code", "metadata": {}, "outputs": [],
             "execution_count": null, "source": "from IPython.display import HTML\\nHTML(open('rows.csv').read())"}]}
            """);
        Files.writeString(jenkins.project.resolve("rows.csv"), "1,2");
        State build = jenkins.run("""
            node('linux') {
              checkout scm
              nbciStep(code: 'print(6 * 7)', name: 'answer', command: '%1$s')
              ipythonBuilder(task: 'A task', kernelName: 'python', parserType: 'text', code: 'open("rows.csv")', filePath: '', command: '%1$s')
              ipythonBuilder(task: 'file', kernelName: 'python3', parserType: 'file', filePath: ' deep/plain.txt ', code: '', command: '%1$s')
              ipythonBuilder(task: 'Some cells', parserType: 'file', filePath: 'deep/cells.ipynb', command: '%1$s')
              echo 'HTML: ' + readFile('Some cells/1.html')
              ipythonBuilder(task: 'bad', kernelName: 'python3', parserType: 'text', code: 'raise ValueError("no")', command: '%1$s')
            }
            """.formatted(COMMAND));
        assertTrue(build.failure.getMessage().contains("ValueError"), () -> String.join("\n", jenkins.log()));
        assertEquals(5, build.description.split("; ").length, build.description);
        assertEquals(5, build.pages.size());
        assertEquals(Map.of("file", ".nbci/build/step/result/page.json", "report", "Notebook_20report/"), build.pages.get(0));
        assertTrue(jenkins.logged("HTML: 1,2"));
    }

    @Test
    void whatTheOldStepCannotBeGiven() throws Exception {
        for (String wrong : List.of("parserType: 'TEXT', code: 'print(1)'", "parserType: 'file', filePath: ' '", "parserType: 'file', filePath: 'a.json'")) {
            Jenkins other = new Jenkins(folder.resolve(wrong)).agent("main1", 1, "linux");
            State build = other.run("node('linux') { ipythonBuilder(task: 't', " + wrong + ") }");
            assertEquals("FAILURE", build.result);
            assertTrue(build.failure.getMessage().startsWith("ipythonBuilder: "), build.failure.getMessage());
        }
    }

    /** The job of this repository, but for `make`, which would test this test. */
    @Test
    void theJobOfThisRepository() throws Exception {
        String job = Files.readString(Library.SHIM.resolveSibling("Jenkinsfile"));
        Path environment = Path.of(COMMAND).getParent().getParent();
        Files.writeString(jenkins.project.resolve("Makefile"), "install test:\n\tln -sfn %s .venv\n".formatted(environment));
        State build = jenkins.run(job.replace("labels: [gpu: 'gpu']", "labels: [:]"));
        assertEquals("SUCCESS", build.result, () -> String.join("\n", jenkins.log()));
        assertTrue(Files.exists(folder.resolve("jenkins/html/Digits/index.html")));
        assertTrue(build.description.startsWith("✅ digits: passed, accuracy 0.9"), build.description);
        assertEquals("SUCCESS", build.checks.get(0).get("conclusion"));
        assertEquals(List.of("Digits/", "Wine/"), build.pages.stream().map(page -> page.get("report")).toList());
        assertEquals(0, jenkins.tests.failed());
        List<String> stages = build.stages.stream().map(stage -> stage.name).toList();
        assertTrue(stages.containsAll(List.of("plan", "digits/roc", "train/forest", "finish")), stages.toString());
        assertTrue(Files.exists(folder.resolve("jenkins/html/Wine/index.html")));
    }
}
