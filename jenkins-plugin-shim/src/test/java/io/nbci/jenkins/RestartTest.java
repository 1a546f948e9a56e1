package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A controller that is restarted, at every moment of a build, goes on where it was. */
class RestartTest {
    @TempDir
    Path folder;

    private Graph graph(Path place, String mode) throws Exception {
        Graph graph = new Graph(place, mode);
        graph.stage("").stage("", "TOKEN", "", 1).stage("", "", "an/image", 1).stage("gpu", 2).stage("", 3).stage("", 4, 5).stage("", 6);
        graph.jenkins.agent("gpu1", 1, "gpu");
        graph.jenkins.credentials.put("id", "secret");
        graph.options += ", credentials: [TOKEN: 'id'], lint: true";
        graph.jenkins.restartEvery = 1;
        return graph;
    }

    @Test
    void everyStageRunsOnce() throws Exception {
        Graph graph = graph(folder, "fail-fast");
        graph.endsWith("SUCCESS");
        for (int i = 1; i <= 7; i++) {
            assertEquals(1, graph.count("start " + i));
            assertEquals(1, graph.count("end " + i));
        }
        assertTrue(graph.at("end 6") > Math.max(graph.at("end 4"), graph.at("end 5")));
        assertTrue(graph.jenkins.restarts > 200, "restarts: " + graph.jenkins.restarts);
    }

    @Test
    void aFailureIsKept() throws Exception {
        Graph graph = graph(folder, "keep-going").file("3.code", "1").file("finish.code", "1");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed\ndescription\tp\ncheck\tFAILURE\tp\n");
        State build = graph.endsWith("FAILURE");
        assertEquals("p: failed", build.failure.getMessage());
        assertEquals(1, graph.count("end 4"));
        assertEquals(0, graph.count("start 5"));
        Graph fast = graph(folder.resolve("fast"), "fail-fast").file("3.code", "1").file("2.waits", "never");
        fast.endsWith("FAILURE");
        assertEquals(1, fast.count("interrupted 2"));
    }

    @Test
    void theOtherStepsAreKeptToo() throws Exception {
        Graph graph = new Graph(folder);
        graph.jenkins.restartEvery = 1;
        State build = graph.run("""
            retry(3) { echo 'once' }
            lock(resource: 'r') { stage('locked') { node('linux') { sh 'echo hello' } } }
            timeout(time: 1, unit: 'MINUTES') { for (x in ['a', 'b']) { def y = x; echo y } }
            """);
        assertEquals("SUCCESS", build.result);
        assertTrue(graph.jenkins.logged("hello"));
    }
}
