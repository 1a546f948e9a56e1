"""The steps of the run in a table, and the warnings."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.sizes import size
from nbci.report.data.wording import warnings
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import linked, section, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.report.data.view import ShownStep

_UNFOLDED = 60
_FIRST = 10


def steps_section(record: RunRecord, steps: Sequence[ShownStep]) -> Markup:
    """Each step with its state, time and why; of very many, first those that are worth a look."""
    heads = ("Step", "Result", "Took", "Attempts", "Peak memory", "Kernel", "Why")
    kernels = {_kernel(step) for step in steps} - {""}
    rows = {step.stem: _row(step, _kernel(step) if len(kernels) > 1 else "") for step in steps}
    shown = table("Steps", heads, rows.values(), class_="steps")
    if len(steps) > _UNFOLDED:
        first = [rows[step.stem] for step in _worth_a_look(steps)]
        slowest = fragment(
            element("h3", "Failed, and slowest"),
            table("Failed, and slowest", heads, first, class_="steps"),
        )
        shown = fragment(slowest, folded(f"All {len(steps):,} steps", shown))
    return section("Steps", shown, _later(record, steps), anchor="steps")


def _worth_a_look(steps: Sequence[ShownStep]) -> list[ShownStep]:
    failed = [step for step in steps if step.record.result == "failed"][:_FIRST]
    ran = [step for step in steps if step.record.result == "passed"]
    return [*failed, *heapq.nlargest(_FIRST, ran, key=lambda step: step.record.seconds or 0.0)]


def _row(step: ShownStep, kernel: str) -> tuple[str, ...]:
    record = step.record
    return (
        linked(step),
        verdict(step.word),
        duration(record.seconds),
        str(len(record.attempts)) if len(record.attempts) > 1 else "",
        size(record.usage.peak_memory_bytes) if record.usage else "",
        kernel,
        _remark(step),
    )


def _kernel(step: ShownStep) -> str:
    return " ".join(part for part in (step.record.kernel, step.record.kernel_version) if part)


def _later(record: RunRecord, steps: Sequence[ShownStep]) -> Markup | None:
    if not any(step.is_left_for_later and not step.is_unwanted for step in steps):
        return None
    command = element("code", f"nbci report {record.run}")
    return element("p", "Pages of reused steps are made when asked for: ", command, class_="note")


def _remark(step: ShownStep) -> str:
    why = step.record.reason or (
        f"ran in run {step.record.run}" if step.record.result == "reused" else ""
    )
    return "; ".join(part for part in (why, "report disabled" if step.is_unwanted else "") if part)


def warnings_section(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> Markup | None:
    """Every warning once."""
    found = warnings(record, plan, steps)
    if not found:
        return None
    return section(
        "Warnings", element("ul", *(element("li", text) for text in found)), anchor="warnings"
    )
