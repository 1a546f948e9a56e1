package io.nbci.jenkins.page;

import java.util.Optional;

/** Makes a record of the JSON of a page; fields that it does not know are left alone. */
final class PageDecoder {
  private PageDecoder() {}

  static PageRecord decode(Object json) throws UnreadablePage {
    Fields page = Fields.of(json);
    checkFormat(page);
    return new PageRecord(
        page.text("run"),
        page.text("pipeline"),
        page.text("target"),
        page.text("nbci"),
        page.text("result"),
        page.text("headline"),
        ending(page.object("ending")),
        page.text("description"),
        page.text("started_utc"),
        page.text("took"),
        page.text("commit"),
        page.link("report"),
        badge(page.object("badge")),
        page.list("failures", PageDecoder::failure),
        page.list("gates", PageDecoder::gate),
        page.list("metrics", PageDecoder::metric),
        page.list("steps", PageDecoder::step),
        optional(page.object("graph"), PageDecoder::graph),
        page.list("models", PageDecoder::model),
        optional(page.object("release"), PageDecoder::release),
        page.list("parameters", PageDecoder::parameter),
        page.texts("warnings"),
        page.texts("left_out"));
  }

  private static void checkFormat(Fields page) throws UnreadablePage {
    Double format = page.number("format");
    if (format == null || format < 1 || format != Math.rint(format)) {
      throw new UnreadablePage(Messages.Unreadable_NoFormat());
    }
    if (format > PageRecord.FORMAT) {
      // As a text: a number in a message gets separators.
      String number = String.format("%.0f", format);
      throw new UnreadablePage(Messages.Unreadable_NewerFormat(number, PageRecord.FORMAT));
    }
  }

  private static PageRecord.Ending ending(Optional<Fields> fields) throws UnreadablePage {
    if (fields.isEmpty()) {
      return new PageRecord.Ending("", "", false);
    }
    Fields ending = fields.get();
    return new PageRecord.Ending(
        ending.text("result"), ending.text("message"), ending.flag("infrastructure"));
  }

  private static PageRecord.Badge badge(Optional<Fields> fields) throws UnreadablePage {
    if (fields.isEmpty()) {
      return new PageRecord.Badge("", "plain");
    }
    return new PageRecord.Badge(fields.get().text("text"), fields.get().text("kind"));
  }

  private static PageRecord.Failure failure(Fields failure) throws UnreadablePage {
    return new PageRecord.Failure(
        failure.text("step"),
        failure.text("message"),
        failure.text("place"),
        failure.text("traceback"),
        failure.text("hint"),
        failure.link("link"));
  }

  private static PageRecord.Gate gate(Fields gate) throws UnreadablePage {
    return new PageRecord.Gate(
        gate.text("gate"),
        gate.text("step"),
        gate.text("result"),
        gate.text("value"),
        gate.text("explanation"),
        gate.text("margin"));
  }

  private static PageRecord.Metric metric(Fields metric) throws UnreadablePage {
    return new PageRecord.Metric(
        metric.text("name"),
        metric.text("short"),
        metric.number("number"),
        metric.text("value"),
        metric.text("change"),
        metric.text("direction"),
        metric.flag("judged"));
  }

  private static PageRecord.Step step(Fields step) throws UnreadablePage {
    return new PageRecord.Step(
        step.text("name"), step.text("result"), step.text("note"), step.link("link"));
  }

  private static PageRecord.Graph graph(Fields graph) throws UnreadablePage {
    return new PageRecord.Graph(
        graph.pixels("width"),
        graph.pixels("height"),
        graph.text("alt"),
        graph.list("nodes", PageDecoder::node),
        graph.list("edges", edge -> new PageRecord.Edge(edge.points("points"))));
  }

  private static PageRecord.Node node(Fields node) throws UnreadablePage {
    return new PageRecord.Node(
        node.text("name"),
        node.text("label"),
        node.pixels("x"),
        node.pixels("y"),
        node.pixels("width"),
        node.pixels("height"),
        node.text("result"),
        node.text("note"),
        node.text("title"),
        node.link("link"));
  }

  private static PageRecord.Model model(Fields model) throws UnreadablePage {
    return new PageRecord.Model(
        model.text("model"),
        model.text("version"),
        model.text("stage"),
        model.text("promoted_utc"));
  }

  private static PageRecord.Release release(Fields release) throws UnreadablePage {
    return new PageRecord.Release(release.text("model"), release.text("version"));
  }

  private static PageRecord.Parameter parameter(Fields parameter) throws UnreadablePage {
    return new PageRecord.Parameter(
        parameter.text("name"),
        parameter.text("type"),
        parameter.text("kind"),
        parameter.text("default"),
        parameter.texts("choices"),
        parameter.text("help"),
        parameter.flag("optional"));
  }

  private static <T> Optional<T> optional(Optional<Fields> fields, Fields.Decoder<T> decoder)
      throws UnreadablePage {
    if (fields.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(decoder.decode(fields.get()));
  }
}
