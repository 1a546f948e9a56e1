package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Builds that a timer starts: a window is judged, and a model trained again where nbci says so. */
class MonitorTest {
    @TempDir
    Path folder;

    private static final String REFUSED = "nbci-ending 1\nresult\tunstable\tPSI of alcohol is 0.31\ndescription\twine: PSI of alcohol is 0.31\n";
    private static final String DECIDED = "nbci-retrain 1\nstart\tyes\nsentence\tthere was none before\nbecause\tPSI of alcohol is 0.31 > 0.2\n"
            + "decision\t20260102-D\npipeline\tpipelines/wine.yaml\nparam\tdepth\t3\n";

    private Graph graph(String options) throws Exception {
        Graph graph = new Graph(folder).stage("");
        graph.options = graph.options.replace("target: 'p.yaml'", options);
        return graph;
    }

    /** A window of a model's log, judged without a pipeline file. */
    private Graph model(String ending, String more) throws Exception {
        return graph("model: 'wine', log: '/var/log/wine', labelFolder: 'labels', window: '1d', rules: 'r.yaml'" + more).file("monitor.txt", ending);
    }

    /** A pipeline file with a monitor that refuses, where the one that trains asks for it. */
    private Graph refused(String more) throws Exception {
        Graph graph = graph("pipeline: 'watch.yaml'" + more);
        graph.jenkins.jobs.add("train/main");
        graph.file("finish.code", "3").file("retrain.txt", DECIDED);
        return graph.file("ending.txt", REFUSED + "monitor\tmonitors/watch\tMonitor of wine\nretrain\twine\tmonitors/watch/monitor.json\n");
    }

    private static State run(Graph graph, String result) throws Exception {
        State build = graph.run("nbciMonitor(" + graph.options + ")");
        assertEquals(result, build.result, () -> String.join("\n", graph.jenkins.log()));
        return build;
    }

    private static List<String> asked(Graph graph) throws Exception {
        return graph.journal().stream().filter(line -> line.startsWith("retrain ")).toList();
    }

    @Test
    void aWindowThatIsAsTheReferencePasses() throws Exception {
        Graph graph = model("nbci-ending 1\nresult\tsuccess\tit is as the reference\nmonitor\t\tMonitor of wine\n", "");
        State build = run(graph, "SUCCESS");
        assertEquals("monitor wine --log /var/log/wine --labels labels --window 1d --rules r.yaml --out .nbci/build/monitor-wine/result", graph.journal().get(0));
        assertEquals(Map.of("monitor", "SUCCESS"), graph.stages(build));
        assertTrue(Files.exists(folder.resolve("jenkins/html/Monitor of wine/index.html")));
        assertTrue(Files.exists(folder.resolve("jenkins/archive/.nbci/build/monitor-wine/result/monitor.json")));
        assertEquals(new Jenkins.Tests(1, 0, 0), graph.jenkins.tests);
    }

    @Test
    void aRuleThatRefusesIsUnstableAndSaysWhy() throws Exception {
        Graph graph = model(REFUSED, "").file("monitor.codes", "3\n");
        State build = run(graph, "UNSTABLE");
        assertEquals("wine: PSI of alcohol is 0.31", build.description);
        assertTrue(graph.jenkins.logged("WARNING: PSI of alcohol is 0.31"));
        assertEquals(List.of(), asked(graph));
    }

    @Test
    void aMachineThatFailsIsAskedAgain() throws Exception {
        Graph graph = model("nbci-ending 1\nresult\tsuccess\tit is as the reference\n", "").file("monitor.codes", "4\n4\n0\n");
        run(graph, "SUCCESS");
        assertEquals(3, graph.count("monitor wine"));
    }

    @ParameterizedTest
    @CsvSource({"1,1", "2,1", "4,3", "5,1", "127,1"})
    void anyOtherEndIsAFailure(int code, int tries) throws Exception {
        Graph graph = graph("model: 'wine', data: 'today.csv'").file("monitor.codes", (code + "\n").repeat(3));
        State build = run(graph, "FAILURE");
        assertEquals(tries, graph.count("monitor wine"));
        assertTrue(build.failure.getMessage().startsWith("nbci monitor ended with exit code " + code));
    }

    @Test
    void aPipelineWithAMonitorIsRunAndItsPagePublished() throws Exception {
        Graph graph = refused("");
        State build = run(graph, "UNSTABLE");
        assertEquals(1, graph.count("start 1"));
        assertTrue(Files.exists(folder.resolve("jenkins/html/Monitor of wine/index.html")));
        assertTrue(Files.exists(folder.resolve("jenkins/archive/.nbci/build/watch.yaml/result/monitors/watch/monitor.json")));
        // without a job to start, nothing is decided: what would be is said
        assertEquals(List.of("retrain wine --because .nbci/build/watch.yaml/result/monitors/watch/monitor.json --plan --if-wanted --format jenkins by nobody"), asked(graph));
        assertEquals("wine: PSI of alcohol is 0.31; there was none before", build.description);
        assertEquals(List.of(), build.started);
    }

    @Test
    void theJobThatTrainsIsStartedWithTheDecision() throws Exception {
        Graph graph = refused(", job: 'train/main'");
        State build = run(graph, "UNSTABLE");
        assertTrue(asked(graph).get(0).contains(" --hand-over "));
        Map<String, Object> started = build.started.get(0);
        assertEquals(List.of("train/main", false), List.of(started.get("job"), started.get("wait")));
        assertEquals(List.of("NBCI_DECISION 20260102-D", "depth 3"), parameters(started));
        assertTrue(graph.jenkins.logged("PSI of alcohol is 0.31 > 0.2"));
    }

    @Test
    void newDataComeFromTheLogThatWasWatched() throws Exception {
        Graph graph = refused(", job: 'train/main', parameters: [log: '/var/log/wine']");
        run(graph, "UNSTABLE");
        assertTrue(asked(graph).get(0).endsWith(" from /var/log/wine"), asked(graph).get(0));
    }

    private static List<String> parameters(Map<String, Object> started) {
        return ((List<?>) started.get("parameters")).stream()
                .map(given -> ((Map<?, ?>) given).get("name") + " " + ((Map<?, ?>) given).get("value"))
                .toList();
    }

    @ParameterizedTest
    @CsvSource({"Train again,1", "Leave it,0"})
    void aPersonIsAskedWhereNbciSaysSo(String answer, int starts) throws Exception {
        Graph graph = refused(", job: 'train/main'");
        graph.file("retrain.txt", DECIDED.replace("yes", "ask")).file("retrain.yes", DECIDED);
        graph.jenkins.answer = answer;
        State build = run(graph, "UNSTABLE");
        assertEquals(starts, build.started.size());
        assertTrue(graph.jenkins.logged("Train wine again? PSI of alcohol is 0.31 > 0.2"));
        String second = asked(graph).get(1);
        assertTrue(second.endsWith(" by ann"), second);
        assertTrue(second.contains(starts == 1 ? "--yes --hand-over" : "--refuse ann said no in Jenkins"), second);
    }

    @Test
    void whatLimitsHoldBackStartsNothing() throws Exception {
        Graph graph = refused(", job: 'train/main'").file("retrain.txt", DECIDED.replace("yes", "no"));
        State build = run(graph, "UNSTABLE");
        assertEquals(List.of(), build.started);
    }

    @Test
    void whoHasTriedTooOftenTells() throws Exception {
        Graph graph = refused(", job: 'train/main'").file("retrain.code", "3");
        graph.file("retrain.txt", "nbci-retrain 1\nstart\tno\nsentence\t3 retrainings came to nothing\nbecause\tx\ngives_up\tyes\n");
        run(graph, "UNSTABLE");
        assertTrue(graph.jenkins.logged("WARNING: 3 retrainings came to nothing"));
    }

    @Test
    void anOriginThatIsAwayFailsTheBuild() throws Exception {
        Graph graph = refused(", job: 'train/main'").file("retrain.code", "4");
        State build = run(graph, "FAILURE");
        assertTrue(build.failure.getMessage().startsWith("nbci retrain ended with exit code 4: infrastructure"));
    }

    @Test
    void aJobThatIsNotThereFailsTheBuild() throws Exception {
        State build = run(refused(", job: 'nope'"), "FAILURE");
        assertEquals("No item named nope found", build.failure.getMessage());
    }

    @Test
    void changesRetrainNothingAndForksWatchNothing() throws Exception {
        Graph graph = refused(", job: 'train/main'");
        graph.jenkins.job.put("CHANGE_ID", "7");
        run(graph, "UNSTABLE");
        assertEquals(List.of(), asked(graph));
        graph.jenkins.job.put("CHANGE_FORK", "somebody");
        run(graph, "NOT_BUILT");
        assertEquals(1, graph.count("start 1"));
    }

    @Test
    void whoSaysNeitherOrBothIsToldWhatToSay() throws Exception {
        for (String options : List.of("label: 'linux'", "model: 'wine', pipeline: 'p.yaml'")) {
            State build = new Graph(folder.resolve(options.substring(0, 3))).run("nbciMonitor(" + options + ")");
            assertTrue(build.failure.getMessage().startsWith("nbciMonitor: say what to watch"));
        }
    }

    @Test
    void aControllerThatIsRestartedAtEveryMomentGoesOn() throws Exception {
        Graph graph = refused(", job: 'train/main'").file("retrain.txt", DECIDED.replace("yes", "ask")).file("retrain.yes", DECIDED);
        graph.jenkins.answer = "Train again";
        graph.jenkins.restartEvery = 1;
        State build = run(graph, "UNSTABLE");
        assertEquals(1, build.started.size());
        assertTrue(graph.jenkins.restarts > 100, "restarts: " + graph.jenkins.restarts);
    }

    @Test
    void whatWasReleasedIsDeployedOnAgentsOfItsLabels() throws Exception {
        Graph graph = deploying("nbci-ending 1\nresult\tsuccess\tall passed\ndeploy\tlocal\tgpu\twine@v1.2.0\ndeploy\tedge\t\twine@v1.2.0\n");
        graph.jenkins.credentials.put("token-id", "secret");
        graph.options += ", credentials: [NBCI_SERVE_TOKEN: 'token-id']";
        State build = graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("deploy wine@v1.2.0 local --after-promotion gpu1 with secret"));
        assertTrue(graph.at("deploy wine@v1.2.0 local") < graph.at("deploy wine@v1.2.0 edge --after-promotion main1 with secret"));
        assertEquals("SUCCESS", graph.stages(build).get("deploy edge"));
    }

    @Test
    void aSmokeCheckThatRefusesIsUnstableAndAPlaceThatFailsIsAFailure() throws Exception {
        Graph graph = deploying("nbci-ending 1\nresult\tsuccess\tall passed\ndeploy\tlocal\t\twine@v2\n").file("deploy.local.code", "4\n3\n");
        graph.endsWith("UNSTABLE");
        assertEquals(2, graph.count("deploy wine@v2 local"));
        assertTrue(graph.jenkins.logged("WARNING: wine@v2 was not kept at local"));
        graph.file("deploy.local.code", "5\n");
        State build = graph.endsWith("FAILURE");
        assertEquals("nbci deploy ended with exit code 5: integrity: something stored is not what it says", build.failure.getMessage());
    }

    @ParameterizedTest
    @CsvSource({"monitor", "retrain"})
    void aJudgementWhoseAgentVanishesIsMadeOnAnotherOne(String command) throws Exception {
        Graph graph = model(REFUSED + "monitor\t\tMonitor of wine\nretrain\twine\tmonitor.json\n", ", job: 'train/main'");
        graph.jenkins.jobs.add("train/main");
        graph.jenkins.agent("main2", 4, "linux");
        graph.file("monitor.codes", "3\n".repeat(command.equals("monitor") ? 2 : 1)).file("retrain.txt", DECIDED);
        loseAtFirst(graph, command, "main1");
        State build = run(graph, "UNSTABLE");
        assertEquals(2, graph.count(command));
        assertEquals(1, build.started.size());
    }

    @Test
    void aDeploymentWhoseAgentVanishesIsCarriedOutOnAnotherOne() throws Exception {
        Graph graph = deploying("nbci-ending 1\nresult\tsuccess\tall passed\ndeploy\tlocal\tgpu\twine@v2\n");
        graph.jenkins.agent("gpu2", 1, "gpu");
        loseAtFirst(graph, "deploy", "gpu1");
        graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("deploy wine@v2 local --after-promotion gpu1"));
        assertEquals(1, graph.count("deploy wine@v2 local --after-promotion gpu2"));
    }

    /** The command waits until its agent is gone; the second time it does not wait. */
    private static void loseAtFirst(Graph graph, String command, String agent) throws Exception {
        graph.file(command + ".waits", "go");
        graph.jenkins.watch(engine -> {
            try {
                if (!engine.state.lostAgents.contains(agent) && graph.count(command) > 0) {
                    engine.lose(agent);
                    graph.file("go", "");
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    @Test
    void nothingIsDeployedOfForksNorWhereTheJobSaysSo() throws Exception {
        Graph graph = deploying("nbci-ending 1\nresult\tsuccess\tall passed\ndeploy\tlocal\t\twine@v2\n");
        graph.options += ", deploy: false";
        graph.endsWith("SUCCESS");
        graph.options = graph.options.replace(", deploy: false", "");
        graph.jenkins.job.putAll(Map.of("CHANGE_ID", "7", "CHANGE_FORK", "somebody"));
        graph.endsWith("SUCCESS");
        assertFalse(graph.at("deploy") >= 0);
    }

    private Graph deploying(String ending) throws Exception {
        Graph graph = new Graph(folder).stage("").file("ending.txt", ending);
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.options += ", promote: true";
        return graph;
    }
}
