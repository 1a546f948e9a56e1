"""`summary.md`: the run for a pull request's comment, at most 60 kB, with nothing in it that markup could act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from nbci.report.failure import last_output, place
from nbci.report.text import as_json, clean, duration, ending, moment, one_line, without_ansi
from nbci.report.wording import commit, gate_rows, headline, metric_rows, outcome, run_again, said_of_gates, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.plan.model import Plan
    from nbci.records.model import RunRecord
    from nbci.report.view import ShownStep

LIMIT_BYTES = 60_000
_ROWS = 100
_FAILURES = 5
_SIGNS = {
    "passed": "✅",
    "failed": "❌",
    "reused": "♻️",
    "skipped": "⏭️",
    "running": "⏳",
    "interrupted": "🛑",
    "refused": "❌",
    "warned": "⚠️",
    "overridden": "⚠️",
    "left out": "⏭️",
}


def summary(
    record: RunRecord, plan: Plan, steps: Sequence[ShownStep], *, links: Mapping[str, str] | None = None
) -> bytes:
    """The summary, result first; what does not fit is cut at the end and said to be. `links`: words and addresses."""
    failed = [step for step in steps if step.record.result == "failed"]
    blocks = [
        f"## {_SIGNS[headline(record)]} {prose(record.pipeline)}: {headline(record)}",
        prose(outcome(record, steps) + said_of_gates(record.verdict)),
        " · ".join(_link(words, address) for words, address in (links or {}).items()),
        f"**What to do:** {prose(record.failure.hint)}" if record.failure and record.failure.hint else "",
        _section("Gates", _gates(record)),
        *(_failure(step) for step in failed[:_FAILURES]),
        _section("Metrics", _metrics(plan, steps)),
        _section("Steps", _steps(steps)),
        _section("Warnings", _list(warnings(record, plan, steps))),
        _section("Parameters", _parameters(record)),
        _section("Run this again", fenced(run_again(record), "sh")),
        _about(record),
    ]
    return _within_limit([block for block in blocks if block])


def prose(text: str) -> str:
    """Text on one line in which no character means anything: not to Markdown, HTML, or as a mention or reference."""
    line = " ".join(clean(without_ansi(text)).split())
    # A space of no width after them keeps names and numbers from becoming mentions and references.
    line = re.sub(r"([@#!$%~])(?=\w)", "\\1\u200b", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$^=-])", r"\\\1", line)


def code(text: str, limit: int = 300) -> str:
    """Text as code on one line, also inside a table."""
    line = one_line(clean(without_ansi(text)), limit)
    if re.fullmatch(r"[^`|\\<>&]+", line):
        return f"`{line}`"
    return "<code>" + re.sub(r"[^\w\s]|_", lambda match: f"&#{ord(match[0])};", line) + "</code>" if line else ""


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code behind a fence that is longer than any in it."""
    shown = clean(without_ansi(text)).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def _link(words: str, address: str) -> str:
    safe = quote(clean(address), safe=":/?#[]@!$&'*+,;=%~").replace("[", "%5B").replace("]", "%5D")
    return f"[{prose(words)}]({safe})"


def _failure(step: ShownStep) -> str:
    failure = step.failure
    title = f"### Step {code(step.record.name)} failed"
    if failure is None:
        return title
    said = last_output(step)
    where = place(failure)
    parts = (
        title,
        prose(failure.message),
        f"In {code(where)}" if where else "",
        f"**What to do:** {prose(failure.hint)}" if failure.hint else "",
        fenced(ending(failure.traceback or failure.error or "", 4_000)) if failure.traceback or failure.error else "",
        f"Last output of the cell:\n\n{fenced(ending(said, 1_500))}" if said else "",
        f"End of the kernel's log:\n\n{fenced(ending(failure.log, 1_500))}" if failure.log else "",
    )
    return "\n\n".join(part for part in parts if part)


def _gates(record: RunRecord) -> str:
    rows = [
        (code(title), code(asked), prose(found), prose(compared), f"{_SIGNS[answer]} {answer}", prose(reason))
        for title, asked, found, compared, answer, reason in gate_rows(record.verdict)
    ]
    return _table(("Gate", "Asked", "Found", "Baseline", "Verdict", "Reason"), rows)


def _metrics(plan: Plan, steps: Sequence[ShownStep]) -> str:
    found = metric_rows(plan, steps)
    rows = [(code(name), f"**{prose(value)}**", prose(meaning), code(step)) for step, name, value, meaning in found]
    return _table(("Metric", "Value", "Meaning", "Step"), rows)


def _steps(steps: Sequence[ShownStep]) -> str:
    # Failures first: where the table is cut, they are what must not be missing.
    ordered = sorted(steps, key=lambda step: step.record.result != "failed") if len(steps) > _ROWS else steps
    rows = [
        (
            code(step.record.name),
            f"{_SIGNS[step.record.result]} {step.record.result}",
            duration(step.record.seconds),
            str(len(step.record.attempts) or ""),
            prose(one_line(step.record.reason or "", 200)),
        )
        for step in ordered
    ]
    return _table(("Step", "Result", "Took", "Attempts", "Why"), rows)


def _parameters(record: RunRecord) -> str:
    rows = [
        (code(value.name), code(as_json(value.value), 150), prose(one_line(value.source))) for value in record.params
    ]
    return _table(("Name", "Value", "From"), rows)


def _about(record: RunRecord) -> str:
    said = commit(record)
    parts = [
        f"Run {code(record.run)} of {code(record.target)}",
        f"started {moment(record.started_utc)}" if record.started_utc else "",
        f"commit {prose(said)}" if said else "",
        f"nbci {prose(record.nbci)}",
    ]
    return ", ".join(part for part in parts if part)


def _list(items: Sequence[str]) -> str:
    shown = [f"- {prose(one_line(item, 500))}" for item in items[:_ROWS]]
    return "\n".join([*shown, *_more(len(items))])


def _table(heads: Sequence[str], rows: Sequence[Iterable[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows[:_ROWS]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "".join(
        f"\n\n{more}" for more in _more(len(rows))
    )


def _more(count: int) -> list[str]:
    return [f"… and {count - _ROWS} more; `index.html` of the report has them all."] if count > _ROWS else []


def _section(title: str, content: str) -> str:
    return f"### {title}\n\n{content}" if content else ""


def _within_limit(blocks: Sequence[str]) -> bytes:
    note = "_The rest is left out here; `index.html` of the report has it all._"
    kept: list[str] = []
    left = LIMIT_BYTES - len(note) - 2
    for block in blocks:
        left -= len(block.encode()) + 2
        if left < 0:
            kept.append(note)
            break
        kept.append(block)
    return ("\n\n".join(kept) + "\n").encode()
