package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sweeps: workers ask nbci for trials, carry them out on agents, and tell. */
class SweepTest {
    @TempDir
    Path folder;

    private Graph sweep(int trials, int parallel) throws Exception {
        Graph graph = new Graph(folder).stage("");
        graph.jenkins.agent("main2", 2, "linux");
        graph.options += ", sweep: 'best', parallel: " + parallel;
        return graph.file("trials", "" + trials);
    }

    private static List<String> beginning(Graph graph, String words) throws Exception {
        return graph.journal().stream().filter(line -> line.startsWith(words)).toList();
    }

    @Test
    void eachTrialIsCarriedOutAndToldOnceAndTheBestIsRun() throws Exception {
        Graph graph = sweep(5, 2);
        State build = graph.endsWith("SUCCESS");
        for (int trial = 0; trial < 5; trial++) {
            assertEquals(1, graph.count("start t" + trial + "-1"));
            assertEquals(1, beginning(graph, "tell " + trial + " by ").size());
            assertTrue(beginning(graph, "tell " + trial + " by ").get(0).endsWith(", with t" + trial + "-1"));
            assertEquals("SUCCESS", graph.stages(build).get("trial " + trial + ": fit"));
        }
        assertEquals(List.of("known"), graph.had("t0-1"));
        List<String> last = graph.journal().subList(graph.at("sweep ended"), graph.journal().size());
        assertEquals("sweep ended", last.get(0));
        assertTrue(last.get(1).startsWith("start 1 "), last.toString());
        assertEquals("finish", last.get(last.size() - 1));
        assertEquals("best: trial 1", build.description);
        assertEquals("study with 5", build.env.get("NBCI_STUDY_nbci_p_yaml_best").trim());
        Path archive = folder.resolve("jenkins/archive/.nbci/build/p.yaml-best/sweep");
        assertTrue(Files.exists(archive.resolve("sweep.txt")) && Files.exists(archive.resolve("study.log")));
        assertTrue(Files.exists(archive.resolve("runs/run-3/run.json")));
    }

    @Test
    void trialsGoOnAtOnceAndOneWaitsForWhatAllNeed() throws Exception {
        Graph graph = sweep(2, 2).file("shared", "").file("t0-1.waits", "t1-1.started").file("t1-1.waits", "t0-1.started");
        graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("start tshared-1"));
        assertTrue(graph.at("end tshared-1") < graph.at("start t0-1"));
        assertTrue(graph.at("end tshared-1") < graph.at("start t1-1"));
    }

    @Test
    void whoWaitsForAnotherBuildAsksAgain() throws Exception {
        Graph graph = sweep(1, 2).file("shared", "").file("again", "1").file("tshared-1.waits", "never");
        graph.jenkins.watch(engine -> {
            if (graph.jenkins.log().stream().filter(line -> line.contains("sweep next")).count() > 4
                    && Files.exists(graph.files.resolve("tshared-1.waits"))) {
                graph.release("tshared-1");
            }
        });
        graph.endsWith("SUCCESS");
    }

    @Test
    void aControllerThatIsRestartedAtEveryMomentGoesOn() throws Exception {
        Graph graph = sweep(3, 2).file("shared", "");
        graph.jenkins.restartEvery = 1;
        graph.endsWith("SUCCESS");
        for (int trial = 0; trial < 3; trial++) {
            assertEquals(1, graph.count("start t" + trial + "-1"));
            assertEquals(1, beginning(graph, "tell " + trial + " by ").size());
        }
        assertTrue(graph.jenkins.restarts > 200, "restarts: " + graph.jenkins.restarts);
    }

    @Test
    void aTrialMayHaveSeveralStagesOnAgentsOfTheirLabels() throws Exception {
        Graph graph = sweep(2, 1);
        graph.file("trial.txt", "stage\t1\ttrial N: a\t\t\t\t\t2\t\t\ta\nstage\t2\ttrial N: b\tgpu\t1\t1\t\t2\t\t\tb\n");
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("start t1-2 gpu1"));
        assertTrue(graph.had("t1-2").containsAll(List.of("known", "t1-1")));
        assertTrue(beginning(graph, "tell 1 by ").get(0).endsWith(", with t1-1 t1-2"));
    }

    @Test
    void aLabelThatNoAgentCarriesIsRefused() throws Exception {
        Graph graph = sweep(2, 2);
        graph.file("trial.txt", "stage\t1\ttrial N: a\ttpu\t\t\t\t2\t\t\ta\n");
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().startsWith("no node carries the label 'tpu'"));
    }

    @Test
    void aTrialThatFailsIsToldAndTheBuildGoesOn() throws Exception {
        Graph graph = sweep(3, 2).file("t1-1.code", "1");
        State build = graph.endsWith("SUCCESS");
        assertEquals("FAILURE", graph.stages(build).get("trial 1: fit"));
        String told = beginning(graph, "tell 1 by ").get(0);
        assertTrue(told.endsWith(", with t1-1 stopped by stage trial 1: fit ended with exit code 1: a step failed"), told);
        assertEquals(1, beginning(graph, "tell 2 by ").size());
    }

    @Test
    void anAgentThatVanishesCostsTheStagesThatRanThere() throws Exception {
        Graph graph = sweep(3, 2).file("t0-1.waits", "never").file("t2-1.waits", "never");
        AtomicBoolean lost = new AtomicBoolean();
        graph.jenkins.watch(engine -> {
            if (!lost.get() && Files.exists(graph.files.resolve("t0-1.started")) && Files.exists(graph.files.resolve("t2-1.started"))) {
                lost.set(true);
                graph.release("t0-1");
                graph.release("t2-1");
                engine.lose("main1");
            }
        });
        graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("start t0-1 main2"));
        assertEquals(1, graph.count("lost 1 of t0-1"));
        assertEquals(1, graph.count("start t1-1"));
        for (int trial = 0; trial < 3; trial++) {
            assertEquals(1, beginning(graph, "tell " + trial + " by ").size());
        }
    }

    @Test
    void anAbortKeepsTheSweep() throws Exception {
        Graph graph = sweep(9, 2).file("t2-1.waits", "never").file("t3-1.waits", "never");
        AtomicBoolean aborted = new AtomicBoolean();
        graph.jenkins.watch(engine -> {
            if (!aborted.get() && Files.exists(graph.files.resolve("t2-1.started")) && Files.exists(graph.files.resolve("t3-1.started"))) {
                aborted.set(true);
                engine.interrupt(1, new FlowInterruptedException("Aborted by somebody"));
            }
        });
        State build = graph.endsWith("ABORTED");
        assertEquals(1, graph.count("sweep ended, its build was stopped"));
        assertEquals(0, graph.count("finish"));
        assertEquals(0, beginning(graph, "tell 2").size());
        assertTrue(graph.had("state").containsAll(List.of("told-0", "told-1", "begun-2", "begun-3")));
        assertEquals("study with 2", build.env.get("NBCI_STUDY_nbci_p_yaml_best").trim());
    }

    @Test
    void whatWasToldCountsWhereTheBuildIsStoppedBeforeTheNextTrial() throws Exception {
        Graph graph = sweep(9, 1).file("next.waits", "2");
        AtomicBoolean aborted = new AtomicBoolean();
        graph.jenkins.watch(engine -> {
            if (!aborted.get() && Files.exists(graph.files.resolve("next.started"))) {
                aborted.set(true);
                engine.interrupt(1, new FlowInterruptedException("Aborted by somebody"));
            }
        });
        State build = graph.endsWith("ABORTED");
        assertEquals("study with 2", build.env.get("NBCI_STUDY_nbci_p_yaml_best").trim());
        assertTrue(Files.exists(folder.resolve("jenkins/archive/.nbci/build/p.yaml-best/sweep/runs/run-1/run.json")));
    }

    @Test
    void aBuildThatIsStartedAgainGivesNbciWhatWasKept() throws Exception {
        Graph graph = sweep(1, 1);
        graph.jenkins.before.add(Map.of());
        graph.jenkins.before.add(Map.of("NBCI_STUDY_nbci_p_yaml_best", "kept", "NBCI_STUDY_nbci_p_yaml_other", "not"));
        graph.endsWith("SUCCESS");
        assertEquals(List.of("kept"), graph.had("study"));
    }

    @Test
    void withoutABestTrialTheBuildEndsWithTheSweep() throws Exception {
        Graph graph = new Graph(folder).file("trials", "2");
        graph.options += ", sweep: true";
        State build = graph.endsWith("SUCCESS");
        assertEquals(2, beginning(graph, "tell ").size());
        assertEquals(0, graph.count("finish"));
        assertEquals("best: trial 1", build.description);
        assertTrue(build.env.containsKey("NBCI_STUDY_nbci_p_yaml_true"));
    }

    @Test
    void whereNoTrialHasAValueTheBuildFails() throws Exception {
        Graph graph = sweep(2, 1).file("end.code", "1");
        State build = graph.endsWith("FAILURE");
        assertEquals("nbci sweep end ended with exit code 1: a step failed: no trial has a value", build.failure.getMessage());
        assertEquals("no trial has a value", build.description);
        assertTrue(build.env.containsKey("NBCI_STUDY_nbci_p_yaml_best"));
        assertEquals(0, graph.count("finish"));
    }

    @Test
    void whatNbciRefusesEndsTheBuildWithItsWords() throws Exception {
        Graph graph = sweep(2, 2).file("next.code", "2");
        State build = graph.endsWith("FAILURE");
        assertEquals("nbci sweep next ended with exit code 2: wrong usage or configuration: no such sweep", build.failure.getMessage());
        assertFalse(graph.jenkins.logged("sweep end"));
    }

    @Test
    void machinesThatFailEndTheBuildAndKeepTheSweep() throws Exception {
        Graph graph = sweep(9, 2).file("tell.code", "4");
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().contains("infrastructure"), build.failure.getMessage());
        assertEquals(1, graph.count("sweep ended, its build was stopped"));
        assertTrue(graph.had("state").stream().anyMatch(name -> name.startsWith("told-")));
    }
}
