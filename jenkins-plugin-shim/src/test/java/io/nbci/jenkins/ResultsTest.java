package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** How builds end, and what they show. */
class ResultsTest {
    @TempDir
    Path folder;

    @Test
    void aFailureEndsTheOthersAtOnce() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("", 1).stage("", 1).stage("", 2).stage("", 3);
        graph.file("2.code", "1").file("2.waits", "3.started").file("3.waits", "never");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed: step s2 failed\n").file("finish.code", "1");
        State build = graph.endsWith("FAILURE");
        assertEquals("p: failed: step s2 failed", build.failure.getMessage());
        assertTrue(graph.at("interrupted 3") >= 0);
        assertEquals(-1, graph.at("start 4"));
        assertEquals(-1, graph.at("start 5"));
        assertEquals("FAILURE", graph.stages(build).get("s2"));
        assertEquals("ABORTED", graph.stages(build).get("s3"));
        assertTrue(graph.had("finish").containsAll(List.of("1", "2", "3")));
    }

    @Test
    void keepingGoingRunsWhatDoesNotWaitForTheFailure() throws Exception {
        Graph graph = new Graph(folder, "keep-going").stage("").stage("", 1).stage("", 1).stage("", 2).stage("", 3).stage("", 4, 5);
        graph.file("2.code", "1").file("finish.code", "1").file("3.waits", "2.ended");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed\n");
        State build = graph.endsWith("FAILURE");
        assertEquals(-1, graph.at("start 4"));
        assertEquals(-1, graph.at("start 6"));
        assertTrue(graph.at("end 5") >= 0);
        assertEquals("FAILURE", graph.stages(build).get("s2"));
        assertEquals("SUCCESS", graph.stages(build).get("s5"));
        assertEquals("p: failed", build.failure.getMessage());
    }

    @Test
    void theJobMayDecideToKeepGoing() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("");
        graph.options += ", keepGoing: true";
        graph.file("1.code", "1").file("2.waits", "1.ended").file("finish.code", "1");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed\n");
        graph.endsWith("FAILURE");
        assertTrue(graph.at("end 2") >= 0);
    }

    @Test
    void aGateThatRefusesIsUnstable() throws Exception {
        Graph graph = new Graph(folder).stage("").file("finish.code", "3");
        graph.file("ending.txt", "nbci-ending 1\nresult\tunstable\taccuracy ≥ 0.95: it is 0.9\n"
                + "description\tp: refused, accuracy 0.9\ncheck\tFAILURE\tp: refused\n");
        State build = graph.endsWith("UNSTABLE");
        assertEquals("UNSTABLE", graph.stages(build).get("finish"));
        assertEquals("p: refused, accuracy 0.9", build.description);
        assertTrue(graph.jenkins.logged("WARNING: accuracy ≥ 0.95: it is 0.9"));
        assertEquals("FAILURE", build.checks.get(0).get("conclusion"));
        assertEquals("summary\n", build.checks.get(0).get("summary"));
        assertTrue(Files.exists(folder.resolve("jenkins/html/Notebook report/index.html")));
        assertEquals(List.of("report.zip"), archived());
        assertEquals(new Jenkins.Tests(1, 0, 0), graph.jenkins.tests);
    }

    @ParameterizedTest
    @CsvSource({"4,infrastructure: the machine failed", "5,integrity", "2,wrong usage", "127,infrastructure: there is no nbci on this agent", "137,the process was killed"})
    void aStageSaysWhatItsExitCodeMeans(int code, String meaning) throws Exception {
        Graph graph = new Graph(folder).stage("").file("1.code", "" + code).file("finish.silent", "").file("finish.code", "1");
        graph.endsWith("FAILURE");
        assertTrue(graph.jenkins.logged("nbci ended with exit code 1: a step failed"));
        State build = new Graph(folder.resolve("kept")).stage("").file("1.code", "" + code).run();
        assertTrue(build.failure.getMessage().contains("stage s1 ended with exit code " + code + ": " + meaning), build.failure.getMessage());
    }

    @Test
    void aPromotionThatFailsEndsTheBuild() throws Exception {
        Graph graph = new Graph(folder).stage("").file("finish.code", "5");
        graph.options += ", promote: 'digits'";
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().startsWith("nbci ended with exit code 5: integrity"));
        assertTrue(graph.jenkins.logged("--promote digits"));
    }

    @Test
    void theRunIsProvedOnAnotherAgent() throws Exception {
        Graph graph = new Graph(folder).stage("").file("proof.txt", "nbci-ending 1\nresult\tsuccess\treproduced\ndescription\t✅ reproduced\n");
        graph.jenkins.agent("other1", 1, "big");
        graph.jenkins.restartEvery = 5;
        graph.options += ", prove: 'other', labels: [other: 'big'], promote: 'digits'";
        State build = graph.endsWith("SUCCESS");
        assertEquals(List.of("start 1 main1", "end 1", "finish", "prove 20260101-R other1, promote digits"), graph.journal());
        assertEquals(List.of("run.json"), graph.had("prove"));
        assertEquals("SUCCESS", graph.stages(build).get("prove"));
        assertEquals("✅ reproduced", build.description);
        assertFalse(graph.jenkins.log().stream().anyMatch(line -> line.contains("finish") && line.contains("--promote")));
        assertTrue(Files.exists(folder.resolve("jenkins/archive/.nbci/build/p.yaml/proof/proof.json")));
    }

    @Test
    void aRunThatIsNotReproducedIsUnstable() throws Exception {
        Graph graph = new Graph(folder).stage("").file("prove.code", "1");
        graph.file("proof.txt", "nbci-ending 1\nresult\tunstable\tnot reproduced: value model\n");
        graph.options += ", prove: true";
        State build = graph.endsWith("UNSTABLE");
        assertEquals("UNSTABLE", graph.stages(build).get("prove"));
        assertEquals("SUCCESS", graph.stages(build).get("finish"));
        assertEquals(1, graph.count("prove 20260101-R main1"));
        assertTrue(graph.jenkins.logged("WARNING: not reproduced: value model"));
    }

    @ParameterizedTest
    @CsvSource({"2,wrong usage or configuration", "4,infrastructure", "3,a gate refused"})
    void aProofThatCannotBeMadeFailsTheBuild(int code, String meaning) throws Exception {
        Graph graph = new Graph(folder).stage("").file("prove.code", "" + code);
        // a promotion that is refused comes after a proof
        if (code == 3) {
            graph.file("proof.txt", "nbci-ending 1\nresult\tsuccess\treproduced\n");
        }
        graph.options += ", prove: 'linux', promote: true";
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().startsWith("nbci prove ended with exit code " + code + ": " + meaning), build.failure.getMessage());
    }

    @Test
    void aRunThatDidNotPassIsNotProved() throws Exception {
        Graph graph = new Graph(folder).stage("").file("finish.code", "3");
        graph.file("ending.txt", "nbci-ending 1\nresult\tunstable\taccuracy: it is 0.9\nrun\t20260101-R\n");
        graph.options += ", prove: 'linux'";
        graph.endsWith("UNSTABLE");
        assertEquals(0, graph.count("prove"));
    }

    @Test
    void aPlanThatCannotBeMadeEndsTheBuild() throws Exception {
        Graph graph = new Graph(folder).stage("").file("plan.code", "2");
        State build = graph.endsWith("FAILURE");
        assertEquals("nbci plan ended with exit code 2: wrong usage or configuration", build.failure.getMessage());
        assertEquals(-1, graph.at("finish"));
    }

    @Test
    void aPlanThatCannotBeMadeSaysWhy() throws Exception {
        Graph graph = new Graph(folder).line(1, "error\tunknown parameter 'gama', from -p").file("plan.code", "2");
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().endsWith("configuration: unknown parameter 'gama', from -p"), build.failure.getMessage());
    }

    @Test
    void aPlanOfAnotherVersionIsRefused() throws Exception {
        State build = new Graph(folder).stage("").line(0, "nbci-plan 9").endsWith("FAILURE");
        assertTrue(build.failure.getMessage().contains("reads 'nbci-plan 1', and nbci wrote 'nbci-plan 9'"));
    }

    @Test
    void anAbortStopsTheStagesAndStillReports() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("").file("1.waits", "never").file("2.waits", "never");
        boolean[] done = {false};
        graph.jenkins.watch(engine -> {
            if (!done[0] && Files.exists(graph.files.resolve("1.started")) && Files.exists(graph.files.resolve("2.started"))) {
                done[0] = true;
                engine.interrupt(1, new FlowInterruptedException("Aborted by anonymous"));
            }
        });
        State build = graph.endsWith("ABORTED");
        assertTrue(build.failure instanceof FlowInterruptedException);
        assertTrue(graph.at("interrupted 1") >= 0 && graph.at("interrupted 2") >= 0);
        assertEquals(1, graph.count("finish stopped by Aborted by anonymous"));
        assertEquals(List.of("1", "2"), graph.had("finish"));
    }

    @Test
    void anAgentThatVanishesCostsItsStageOnly() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1).stage("", 2);
        graph.jenkins.agent("gpu1", 1, "gpu").agent("gpu2", 1, "gpu");
        graph.file("2.waits", "go");
        graph.jenkins.watch(engine -> {
            if (!engine.state.lostAgents.contains("gpu1") && Files.exists(graph.files.resolve("2.started"))) {
                engine.lose("gpu1");
                write(graph.files.resolve("go"));
            }
        });
        graph.endsWith("SUCCESS");
        assertEquals(1, graph.count("start 1"));
        assertEquals(List.of("start 2 gpu1", "start 2 gpu2"),
                graph.journal().stream().filter(line -> line.startsWith("start 2")).toList());
        assertEquals(1, graph.count("end 3"));
        assertEquals(1, graph.count("lost 1 of 2"));
        assertEquals(1, graph.count("lost"));
    }

    /** To Jenkins the end of an agent is an interruption: the build would be one that somebody has aborted. */
    @Test
    void aStageWhoseAgentsAllVanishFails() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("gpu", 1);
        graph.jenkins.agent("gpu1", 1, "gpu").agent("gpu2", 1, "gpu");
        graph.file("2.waits", "never").file("finish.code", "4");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed: infrastructure, not the notebook: step s2 failed\n");
        graph.jenkins.watch(engine -> {
            for (String agent : List.of("gpu1", "gpu2")) {
                if (!engine.state.lostAgents.contains(agent) && hasBegun(graph, "start 2 " + agent)) {
                    engine.lose(agent);
                }
            }
        });
        State build = graph.endsWith("FAILURE");
        assertEquals("p: failed: infrastructure, not the notebook: step s2 failed", build.failure.getMessage());
        assertEquals(1, graph.count("finish without 2=2"));
        assertEquals("FAILURE", graph.stages(build).get("s2"));
    }

    @Test
    void testsThatFailedMarkNoStage() throws Exception {
        Graph graph = new Graph(folder).stage("").file("1.code", "1").file("finish.code", "1");
        graph.file("finish.junit", "<testsuite name='x'><testcase name='a'><failure/></testcase></testsuite>");
        graph.file("ending.txt", "nbci-ending 1\nresult\tfailure\tp: failed\n");
        State build = graph.endsWith("FAILURE");
        assertEquals(new Jenkins.Tests(1, 1, 0), graph.jenkins.tests);
        assertEquals("SUCCESS", graph.stages(build).get("finish"));
    }

    @Test
    void aStageThatFailsIsNotTriedAgain() throws Exception {
        Graph graph = new Graph(folder).stage("").file("1.code", "1");
        graph.endsWith("FAILURE");
        assertEquals(1, graph.count("start 1"));
    }

    @Test
    void aLabelThatNobodyCarriesIsRefusedAtOnce() throws Exception {
        Graph graph = new Graph(folder).stage("").stage("tpu", 1);
        State build = graph.endsWith("FAILURE");
        assertTrue(build.failure.getMessage().contains("no node carries the label 'tpu'"));
        assertEquals(-1, graph.at("start 1"));
    }

    @Test
    void pluginsThatAreNotThereAreNotMissed() throws Exception {
        Graph graph = new Graph(folder).stage("");
        graph.file("page.json", "{}");
        graph.jenkins.without("nbciPage", "hideFromView", "nodesByLabel", "publishHTML", "publishChecks", "recordIssues", "issues", "withCredentials", "docker", "lock");
        graph.options += ", lint: true";
        graph.file("ending.txt", "nbci-ending 1\nresult\tsuccess\tp: passed\ncheck\tSUCCESS\tp: passed\n");
        graph.jenkins.job.put("BUILD_URL", "https://jenkins/job/a/1/");
        graph.endsWith("SUCCESS");
        assertEquals(List.of("notebooks/a.ipynb", "report/index.html", "report/junit.xml", "report/summary.md"), archived());
        String report = "https://jenkins/job/a/1/artifact/.nbci/build/p.yaml/result/report/";
        assertEquals(report, Files.readString(graph.files.resolve("finish.report")));
        assertFalse(graph.jenkins.logged("No such DSL method"));
    }

    /** The pages are what `sanitizeReportName` of htmlpublisher makes of the names. */
    @ParameterizedTest
    @CsvSource({"Notebook report,Notebook_20report", "My_report-2.0,My_5freport-2_2e0", "Größe 🦊,Gr_c3b6_c39fe_20_f09fa68a"})
    void theReportIsReadOnThePageOfItsName(String name, String page) throws Exception {
        Graph graph = new Graph(folder).stage("");
        graph.jenkins.job.put("BUILD_URL", "https://jenkins/job/a/1/");
        graph.options += ", reportName: '" + name + "'";
        graph.endsWith("SUCCESS");
        assertEquals("https://jenkins/job/a/1/" + page + "/", Files.readString(graph.files.resolve("finish.report")));
        assertTrue(Files.exists(folder.resolve("jenkins/html").resolve(name).resolve("index.html")));
        assertEquals(List.of("report.zip"), archived());
    }

    @Test
    void thePageOfTheBuildIsHandedOver() throws Exception {
        Graph graph = new Graph(folder).stage("").file("page.json", "{}");
        State build = graph.endsWith("SUCCESS");
        assertEquals(List.of(Map.of("file", ".nbci/build/p.yaml/result/page.json", "report", "Notebook_20report/")), build.pages);
    }

    @Test
    void thePageLeadsToTheFilesOfABuildThatHasNoOtherReport() throws Exception {
        Graph graph = new Graph(folder).stage("").file("page.json", "{}");
        graph.jenkins.without("publishHTML");
        State build = graph.endsWith("SUCCESS");
        String report = "artifact/.nbci/build/p.yaml/result/report/";
        assertEquals(report, build.pages.get(0).get("report"));
        assertTrue(Files.exists(folder.resolve("jenkins").resolve(report.replace("artifact", "archive")).resolve("index.html")));
    }

    @Test
    void aPageThatCannotBeKeptCostsTheBuildNothing() throws Exception {
        Graph graph = new Graph(folder).stage("").file("page.json", "");
        State build = graph.endsWith("SUCCESS");
        assertEquals(List.of(), build.pages);
        assertTrue(graph.jenkins.logged("The page of this build lacks its run: page.json is empty"));
    }

    @Test
    void anOlderNbciHasNoPage() throws Exception {
        Graph graph = new Graph(folder).stage("");
        State build = graph.endsWith("SUCCESS");
        assertEquals(List.of(), build.pages);
        assertFalse(graph.jenkins.logged("The page of this build"));
    }

    @Test
    void whatLintFindsIsShown() throws Exception {
        Graph graph = new Graph(folder).stage("");
        graph.options += ", lint: true";
        graph.endsWith("SUCCESS");
        assertTrue(Files.exists(folder.resolve("jenkins/issues/.nbci/build/p.yaml/issues.json")));
    }

    @Test
    void secretsAreShownToTheStagesThatAskForThem() throws Exception {
        Graph graph = new Graph(folder).stage("", "TOKEN", "").stage("", 1);
        graph.jenkins.credentials.put("the-token", "s3cret");
        graph.options += ", credentials: [TOKEN: 'the-token']";
        graph.endsWith("SUCCESS");
        assertTrue(graph.journal().contains("start 1 main1 with s3cret"));
        assertTrue(graph.journal().contains("start 2 main1"));
    }

    @Test
    void aPullRequestHasAComment() throws Exception {
        Graph graph = new Graph(folder).stage("").file("comment.code", "4");
        graph.jenkins.credentials.put("forge", "t0ken");
        graph.jenkins.job.putAll(Map.of("CHANGE_ID", "12", "BUILD_URL", "https://jenkins/job/a/1/"));
        graph.options += ", comment: 'forge'";
        graph.endsWith("SUCCESS");
        String report = "https://jenkins/job/a/1/Notebook_20report/";
        assertEquals(1, graph.count("comment with t0ken for " + report));
        assertTrue(graph.jenkins.logged("has no comment of this build"));
    }

    @Test
    void neitherABranchNorAForkHasAComment() throws Exception {
        Graph branch = new Graph(folder.resolve("branch")).stage("");
        branch.options += ", comment: 'forge'";
        branch.endsWith("SUCCESS");
        assertEquals(0, branch.count("comment"));
        Graph fork = new Graph(folder.resolve("fork")).stage("");
        fork.jenkins.credentials.put("forge", "t0ken");
        fork.jenkins.job.putAll(Map.of("CHANGE_ID", "12", "CHANGE_FORK", "stranger", "CHANGE_TARGET", "main"));
        fork.options += ", comment: 'forge'";
        fork.run();
        assertEquals(1, fork.count("finish"));
        assertEquals(0, fork.count("comment"));
    }

    @Test
    void aTimerThatFindsNothingNewEndsTheBuild() throws Exception {
        Graph graph = new Graph(folder).stage("").file("nothing", "");
        graph.jenkins.causes.set(0, "hudson.triggers.TimerTrigger$TimerTriggerCause");
        graph.jenkins.before.addAll(List.of(Map.of(), Map.of("NBCI_DATA", "{\"d.dvc\": \"it's 1\"}"), Map.of("NBCI_DATA", "old")));
        State build = graph.endsWith("NOT_BUILT");
        assertEquals("the imported data is what it was", build.description);
        assertEquals("{\"d.dvc\": \"it's 1\"}", Files.readString(graph.files.resolve("plan.poll")));
        assertEquals("{\"d.dvc\": \"2\"}", build.env.get("NBCI_DATA"));
        assertEquals(List.of(), graph.journal());
    }

    @Test
    void whatATimerFoundIsRememberedWhenTheBuildHasEnded() throws Exception {
        Graph graph = new Graph(folder).stage("").line(1, "data\t{\"d.dvc\": \"2\"}\nrun\tfail-fast\t");
        graph.jenkins.causes.set(0, "hudson.triggers.TimerTrigger$TimerTriggerCause");
        assertEquals("{\"d.dvc\": \"2\"}", graph.endsWith("SUCCESS").env.get("NBCI_DATA"));
        assertEquals("", Files.readString(graph.files.resolve("plan.poll")));
        Graph failed = new Graph(folder.resolve("failed")).stage("").line(1, "data\t{\"d.dvc\": \"2\"}\nrun\tfail-fast\t");
        failed.file("finish.silent", "").file("finish.code", "4");
        assertEquals(null, failed.endsWith("FAILURE").env.get("NBCI_DATA"));
    }

    @Test
    void whoeverElseStartsABuildHasItRun() throws Exception {
        Graph graph = new Graph(folder).stage("").file("nothing", "");
        graph.jenkins.causes.add("hudson.triggers.TimerTrigger$TimerTriggerCause");
        graph.jenkins.before.add(Map.of("NBCI_DATA", "seen before"));
        assertEquals("seen before", graph.endsWith("SUCCESS").env.get("NBCI_DATA"));
        assertFalse(Files.exists(graph.files.resolve("plan.poll")));
    }

    @Test
    void theCodeOfAForkChangesNeitherThePlanNorTheNextBuild() throws Exception {
        Graph graph = new Graph(folder).stage("").file("1.tampers", "");
        Path left = Files.createDirectories(folder.resolve("jenkins/workspaces/main1/.git/hooks")).resolve("post-checkout");
        Files.writeString(left, "of the build before");
        graph.jenkins.job.putAll(Map.of("CHANGE_ID", "12", "CHANGE_FORK", "stranger", "CHANGE_TARGET", "main"));
        State build = graph.run("nbciPipeline(" + graph.options + ") { sh '[ ! -e .git ]' }");
        assertEquals("SUCCESS", build.result, () -> String.join("\n", graph.jenkins.log()));
        assertFalse(Files.exists(left));
        assertEquals("{}\n", Files.readString(graph.files.resolve("finish.plan")));
    }

    @Test
    void aStageRunsInItsContainer() throws Exception {
        Graph graph = new Graph(folder).stage("", "", "python:3.11").stage("", 1);
        graph.endsWith("SUCCESS");
        assertTrue(graph.journal().contains("start 1 main1 in python:3.11"));
        assertTrue(graph.journal().contains("start 2 main1"));
        Graph without = new Graph(folder.resolve("without")).stage("", "", "python:3.11");
        without.jenkins.without("docker");
        State build = without.endsWith("FAILURE");
        assertTrue(build.failure.toString().contains("docker-workflow") || without.jenkins.logged("docker-workflow"));
    }

    @Test
    void parametersArriveUnchanged() throws Exception {
        String text = "a'b\"c$(touch hacked)`x`\nü 🦊 \\ end " + "x".repeat(100_000);
        Graph graph = new Graph(folder).stage("");
        graph.jenkins.params.put("text", text);
        graph.options += ", parameters: params";
        graph.endsWith("SUCCESS");
        assertEquals(text, Files.readString(graph.files.resolve("plan.text")));
        assertFalse(Files.exists(folder.resolve("jenkins/workspaces/main1/hacked")));
    }

    @Test
    void theTimeoutOfARunEndsIt() throws Exception {
        Graph graph = new Graph(folder).stage("").line(1, "run\tfail-fast\t1").file("1.waits", "never");
        graph.endsWith("ABORTED");
        assertEquals(1, graph.count("interrupted 1"));
        assertEquals(1, graph.count("finish"));
    }

    /** The files of the build that its page lists. */
    private List<String> archived() throws java.io.IOException {
        Path result = folder.resolve("jenkins/archive/.nbci/build/p.yaml/result");
        return Patterns.find(result, "**", "").stream().map(file -> result.relativize(file).toString()).toList();
    }

    private static boolean hasBegun(Graph graph, String line) {
        try {
            return graph.count(line) > 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void write(Path file) {
        try {
            Files.writeString(file, "");
        } catch (java.io.IOException failure) {
            throw new java.io.UncheckedIOException(failure);
        }
    }
}
