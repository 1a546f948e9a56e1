package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Order, concurrency, places: the stages run as their graph says. */
class GraphTest {
    @TempDir
    Path folder;

    @Test
    void stagesFollowThoseBeforeThem() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("", 1).stage("", 1).stage("", 2, 3);
        graph.endsWith("SUCCESS");
        assertTrue(graph.at("end 1") < graph.at("start 2"));
        assertTrue(graph.at("end 1") < graph.at("start 3"));
        assertTrue(Math.max(graph.at("end 2"), graph.at("end 3")) < graph.at("start 4"));
        assertEquals(1, graph.count("finish"));
        assertEquals(List.of("1", "2", "3", "4"), graph.had("finish"));
    }

    @Test
    void independentStagesRunAtTheSameTime() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("");
        graph.file("1.waits", "2.started").file("2.waits", "1.started");
        graph.endsWith("SUCCESS");
    }

    @Test
    void aStageStartsTheMomentItsOwnInputsAreDone() throws Exception {
        // 3 is slow: it ends only when the last of 2's line has ended, two joins further on
        Graph graph = new Graph(folder).stage("").stage("", 1).stage("", 1).stage("", 2).stage("", 2).stage("", 4, 5).stage("", 3, 6);
        graph.file("3.waits", "6.ended");
        graph.endsWith("SUCCESS");
        assertTrue(graph.at("end 6") < graph.at("end 3"));
    }

    @Test
    void stagesRunOnAgentsOfTheirLabels() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1).stage("big", 1);
        graph.jenkins.agent("gpu1", 1, "linux", "cuda").agent("big1", 1, "big");
        graph.options += ", labels: [gpu: 'linux && cuda']";
        graph.endsWith("SUCCESS");
        assertTrue(graph.journal().contains("start 2 gpu1"));
        assertTrue(graph.journal().contains("start 3 big1"));
        assertEquals(List.of("1"), graph.had("3"));
    }

    @Test
    void aStageThatIsDecidedBeforeItsTurnAsksForNoAgent() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1).stage("", 2).stage("other", 2).stage("", 3, 4);
        graph.file("1.decides", "nbci-decided 1\n2\tits results stand, of run 7\n4\tof run 7\n");
        graph.options += ", checkLabels: false";
        graph.endsWith("SUCCESS");
        assertEquals(List.of("start 1 main1", "end 1", "start 3 main1", "end 3", "start 5 main1", "end 5", "finish"), graph.journal());
        assertTrue(graph.jenkins.log().stream().anyMatch(line -> line.endsWith("no agent is needed: its results stand, of run 7")));
        assertTrue(graph.had("finish").contains("by-1"));
    }

    @Test
    void whatAStageDecidesIsBroughtToThoseBehindIt() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1).stage("linux2", 2);
        graph.jenkins.agent("other1", 1, "linux2");
        graph.file("1.decides", "nbci-decided 1\n2\tof run 7\n");
        graph.options += ", checkLabels: false";
        graph.jenkins.restartEvery = 5;
        graph.endsWith("SUCCESS");
        assertTrue(graph.had("3").contains("by-1"));
        assertTrue(graph.jenkins.restarts > 3);
    }

    @Test
    void aBuildThatIsDecidedByItsPlanAsksForTheReportOnly() throws Exception {
        Graph graph = new Graph(folder, "keep-going").stage("gpu").stage("gpu", 1);
        graph.file("plan.decides", "nbci-decided 1\n1\tof run 7\n2\tof run 7\n");
        graph.options += ", checkLabels: false";
        graph.endsWith("SUCCESS");
        assertEquals(List.of("finish"), graph.journal());
        assertTrue(graph.had("finish").contains("by-plan"));
    }

    @Test
    void oneExecutorIsTakenInTurns() throws Exception {
        Graph graph = new Graph(folder).stage("gpu").stage("gpu").stage("gpu");
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.endsWith("SUCCESS");
        for (int i = 0; i < 6; i += 2) {
            assertTrue(graph.journal().get(i).startsWith("start"));
            assertTrue(graph.journal().get(i + 1).startsWith("end"));
        }
    }

    @Test
    void aWorkspaceIsMadeReadyOncePerBuild() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1).stage("", 2).stage("gpu", 3);
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.run("nbciPipeline(" + graph.options + ") { sh 'echo ready $NODE_NAME >> $FAKE/journal' }");
        assertEquals(1, graph.count("ready main1"));
        assertEquals(1, graph.count("ready gpu1"));
        assertEquals(List.of("1", "2", "3"), graph.had("4"));
    }

    @Test
    void theAnswersOfAnEarlierBuildAreNotTaken() throws Exception {
        Graph graph = new Graph(folder).stage("");
        Path old = folder.resolve("jenkins/workspaces/main1/.nbci/build/p.yaml/store");
        java.nio.file.Files.createDirectories(old);
        java.nio.file.Files.writeString(old.resolve("old"), "");
        graph.run();
        assertEquals(List.of(""), graph.had("1"));
    }

    @Test
    void fiveHundredWide() throws Exception {
        Graph graph = new Graph(folder).stage("");
        Integer[] all = new Integer[500];
        for (int i = 0; i < 500; i++) {
            graph.stage("", 1);
            all[i] = i + 2;
        }
        graph.stage("", all);
        graph.jenkins.restartEvery = 1000;
        graph.endsWith("SUCCESS");
        assertEquals(502, graph.journal().stream().filter(line -> line.startsWith("end")).count());
        assertEquals(501, graph.had("502").size());
        assertTrue(graph.jenkins.restarts > 5);
    }

    /** Where each stage called the next, Jenkins could not save a chain of 500. */
    @Test
    void sixHundredDeep() throws Exception {
        Graph graph = new Graph(folder).stage("");
        for (int i = 1; i < 600; i++) {
            graph.stage(i % 2 == 0 ? "" : "gpu", i);
        }
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.jenkins.restartEvery = 900;
        graph.endsWith("SUCCESS");
        assertEquals(600, graph.journal().stream().filter(line -> line.startsWith("end")).count());
        assertTrue(graph.jenkins.restarts > 5);
    }

    @Test
    void manyForksAndJoinsInARowDoNotNest() throws Exception {
        Graph graph = new Graph(folder).stage("");
        for (int i = 0; i < 60; i++) {
            int last = 3 * i + 1;
            graph.stage("", last).stage("", last).stage("", last + 1, last + 2);
        }
        graph.jenkins.restartEvery = 500;
        int[] deepest = {0};
        graph.jenkins.watch(engine -> deepest[0] = Math.max(deepest[0], engine.state.branches.size()));
        graph.endsWith("SUCCESS");
        assertEquals(181, graph.journal().stream().filter(line -> line.startsWith("end")).count());
        assertTrue(deepest[0] < 40, "open branches: " + deepest[0]);
    }
}
