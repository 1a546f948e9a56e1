"""The run's page: what came of it first, then everything that went in and came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.failure import explained
from nbci.report.figures_section import graph_section
from nbci.report.markup import Markup, element, folded, fragment, table
from nbci.report.page import facts, page, section, time, verdict
from nbci.report.text import as_json, counted, duration, one_line
from nbci.report.wording import commit, gate_rows, headline, metric_rows, outcome, run_again, warnings
from nbci.sizes import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.plan.model import Plan
    from nbci.records.model import RunRecord
    from nbci.report.view import ShownStep


def index_page(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> bytes:
    """The page as it is written to `index.html`."""
    header = fragment(
        element("h1", record.pipeline, " ", verdict(headline(record))), element("p", outcome(record, steps))
    )
    failed = [step for step in steps if step.record.result == "failed"]
    main = fragment(
        _run_failed(record),
        _gates(record),
        *(_failed(step) for step in failed),
        _about(record),
        _metrics(plan, steps),
        graph_section(steps),
        _steps(record, steps),
        _warnings(record, plan, steps),
        _parameters(record),
        _again(record),
        _environment(steps),
        _sources(record),
    )
    said = f"{record.pipeline}: {headline(record)}"
    return page(said, root="", header=header, main=main, footer=f"Run {record.run}, nbci {record.nbci}")


def _failed(step: ShownStep) -> Markup:
    title = fragment("Step ", _link(step, step.record.name), " failed")
    return section(title, explained(step, root=""), anchor=f"failure-{step.stem}", class_="failed")


def _run_failed(record: RunRecord) -> Markup | None:
    failure = record.failure
    if failure is None:
        return None
    hint = element("p", element("strong", "What to do: "), failure.hint) if failure.hint else None
    return section(
        "The run failed", element("p", failure.message, class_="message"), hint, anchor="failure", class_="failed"
    )


def _gates(record: RunRecord) -> Markup | None:
    rows = [
        (title, asked, found, compared, verdict(answer), reason)
        for title, asked, found, compared, answer, reason in gate_rows(record.verdict)
    ]
    if not rows:
        return None
    heads = ("Gate", "Asked", "Found", "Baseline", "Verdict", "Reason")
    refused = record.verdict is not None and record.verdict.refuses
    shown = table("Gates", heads, rows, class_="gates")
    return section("Gates", shown, anchor="gates", **({"class_": "failed"} if refused else {}))


def _about(record: RunRecord) -> Markup:
    return section(
        "About this run",
        facts(
            (
                ("Result", verdict(record.result)),
                ("Started", time(record.started_utc)),
                ("Took", duration(record.seconds)),
                ("Target", element("code", record.target)),
                ("Commit", commit(record)),
                ("By", record.user),
                ("Host", record.host),
                ("Platform", record.platform),
                ("Python", record.python),
                ("Run", element("code", record.run)),
            )
        ),
        anchor="about",
    )


def _metrics(plan: Plan, steps: Sequence[ShownStep]) -> Markup | None:
    found = metric_rows(plan, steps)
    if not found:
        return None
    meaningful = any(meaning for *_, meaning in found)
    shown = {step.record.name: step for step in steps}
    rows = [
        (name, element("strong", value), *((meaning,) if meaningful else ()), _link(shown[step], step))
        for step, name, value, meaning in found
    ]
    heads = ("Metric", "Value", *(("Meaning",) if meaningful else ()), "Step")
    return section("Metrics", table("Metrics", heads, rows, class_="metrics"), anchor="metrics")


def _steps(record: RunRecord, steps: Sequence[ShownStep]) -> Markup:
    rows = [
        (
            _link(step, step.record.name),
            verdict(step.record.result),
            duration(step.record.seconds),
            str(len(step.record.attempts) or ""),
            " ".join(part for part in (step.record.kernel, step.record.kernel_version) if part),
            size(step.record.usage.peak_memory_bytes) if step.record.usage else "",
            _remark(step),
        )
        for step in steps
    ]
    heads = ("Step", "Result", "Took", "Attempts", "Kernel", "Peak memory", "Why")
    command = element("code", f"nbci report {record.run}")
    later = element("p", "Pages of reused steps are made when asked for: ", command, class_="note")
    is_later = any(step.is_left_for_later and not step.is_unwanted for step in steps)
    return section("Steps", table("Steps", heads, rows, class_="steps"), later if is_later else None, anchor="steps")


def _link(step: ShownStep, text: str) -> Markup | str:
    return element("a", text, href=step.page) if step.page is not None else text


def _remark(step: ShownStep) -> str:
    why = step.record.reason or (f"ran in run {step.record.run}" if step.record.run else "")
    return "; ".join(part for part in (why, "report disabled" if step.is_unwanted else "") if part)


def _warnings(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> Markup | None:
    found = warnings(record, plan, steps)
    return (
        section("Warnings", element("ul", *(element("li", text) for text in found)), anchor="warnings")
        if found
        else None
    )


def _parameters(record: RunRecord) -> Markup | None:
    rows = [
        (parameter.name, element("code", one_line(as_json(parameter.value), 300)), parameter.source)
        for parameter in record.params
    ]
    if not rows:
        return None
    return section("Parameters", table("Parameters", ("Name", "Value", "From"), rows), anchor="parameters")


def _again(record: RunRecord) -> Markup:
    dirty = record.git is not None and record.git.dirty
    return section(
        "Run this again",
        element("pre", element("code", run_again(record)), tabindex=0),
        element("p", "The working tree held changes that are not in this commit.", class_="note") if dirty else None,
        anchor="again",
    )


def _environment(steps: Sequence[ShownStep]) -> Markup | None:
    versions: dict[str, dict[str, list[str]]] = {}
    for step in steps:
        for name, version in (step.record.distributions or {}).items():
            versions.setdefault(name, {}).setdefault(version, []).append(step.record.name)
    if not versions:
        return None
    rows = [
        (name, version, ", ".join(users))
        for name in sorted(versions, key=str.lower)
        for version, users in versions[name].items()
    ]
    shown = table("Packages that the steps imported", ("Package", "Version", "Steps"), rows)
    return section(
        "Environment", folded(f"{counted(len(versions), 'package')} imported by the steps", shown), anchor="environment"
    )


def _sources(record: RunRecord) -> Markup | None:
    rows = [(element("code", path), element("code", digest)) for path, digest in (record.sources or {}).items()]
    if not rows:
        return None
    shown = table("Notebooks and pipeline files as they were", ("File", "Digest"), rows)
    return section("Sources", folded(counted(len(rows), "file"), shown), anchor="sources")
