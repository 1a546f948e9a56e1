package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which builds and pages are looked at. */
class PagesTest {
  @TempDir Path folder;

  private FakeJob job;

  @BeforeEach
  void begin() {
    job = new FakeJob(folder);
  }

  @Test
  void theNewestBuildWithParametersCounts() {
    HandedOver.page(job.build(), Samples.full());
    HandedOver.page(job.build(), Samples.written());
    HandedOver.page(job.build(), withoutParameters());
    HandedOver.page(job.build(), "broken".getBytes());
    job.build();

    assertEquals("digits", Pages.newestWithParameters(job, "").get().pipeline());
  }

  @Test
  void theTargetCountsWhereItIsNamed() {
    FakeRun run = job.build();
    HandedOver.page(run, Samples.full());
    HandedOver.page(run, Samples.written());

    assertEquals("churn", newest("pipelines/churn.yaml"));
    assertEquals("digits", newest("pipelines/digits.yaml"));
    assertEquals("digits", newest(" ./pipelines/digits.yaml "));
    assertTrue(Pages.newestWithParameters(job, "pipelines/other.yaml").isEmpty());
    assertTrue(Pages.newestWithParameters(new FakeJob(folder), "").isEmpty());
  }

  @Test
  void olderBuildsAreNotLookedAt() {
    FakeRun first = job.build();
    HandedOver.page(first, Samples.full());
    for (int build = 2; build <= 20; build++) {
      job.build();
    }
    assertEquals("churn", newest(""));

    job.build();
    first.visits = 0;

    assertTrue(Pages.newestWithParameters(job, "").isEmpty());
    assertEquals(0, first.visits);
  }

  @Test
  void aJobHasAPageWhereItsLastBuildsHaveOne() {
    JobPageFactory factory = new JobPageFactory();
    assertEquals(0, factory.createFor(job).size());
    FakeRun run = job.build();
    assertEquals(0, factory.createFor(job).size());

    HandedOver.page(run, Samples.full());

    assertEquals(1, factory.createFor(job).size());
    assertEquals(JobPage.class, factory.actionType());
  }

  @Test
  void theJobsPageLooksAtAsManyBuildsAsItIsAskedFor() {
    for (int build = 0; build < 60; build++) {
      HandedOver.page(job.build(), Samples.full());
    }
    JobPage page = new JobPage(job, () -> 50);

    assertEquals(50, page.trends(null).getRows().size());
    assertEquals(7, page.trends("7").getRows().size());
    assertEquals(60, page.trends("999999").getRows().size());
    assertEquals(50, page.buildsToShow("0"));
    assertEquals(50, page.buildsToShow("-1"));
    assertEquals(50, page.buildsToShow("9999999999999"));
    assertEquals(50, page.buildsToShow("x' onload='"));
    assertEquals(500, page.buildsToShow("999999"));
    assertEquals(200, page.getManyBuilds());
    assertEquals(30, page.getBoxTrend().getDots().size());
  }

  @Test
  void aJobWithoutNumbersHasNoChart() {
    HandedOver.page(job.build(), "{\"format\": 1}".getBytes());

    assertNull(new JobPage(job, () -> 50).getBoxTrend());
  }

  private String newest(String target) {
    return Pages.newestWithParameters(job, target).get().pipeline();
  }

  private static byte[] withoutParameters() {
    JsonObject page = Samples.tree(Samples.full());
    page.add("parameters", new JsonArray());
    return Samples.bytes(page);
  }
}
