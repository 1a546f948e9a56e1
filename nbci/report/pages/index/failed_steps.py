"""What failed, first on the page of a run that did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fragment
from nbci.report.html.page import linked, section
from nbci.report.pages.failure import explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.data.view import ShownStep

_EXPLAINED = 10


def failures(record: RunRecord, steps: Sequence[ShownStep]) -> Markup:
    """Return the run's own failure, then each step's.

    Where there are very many, the first are explained and the others only named.
    """
    failed = [step for step in steps if step.record.result == "failed"]
    return fragment(
        _of_run(record), *map(_of_step, failed[:_EXPLAINED]), _others(failed[_EXPLAINED:])
    )


def _of_run(record: RunRecord) -> Markup | None:
    failure = record.failure
    if failure is None:
        return None
    hint = element("p", element("strong", "What to do: "), failure.hint) if failure.hint else None
    message = element("p", failure.message, class_="message")
    return section("The run failed", message, hint, anchor="failure", class_="failed")


def _of_step(step: ShownStep) -> Markup:
    title = fragment(
        "Step ", linked(step), " was interrupted" if step.word == "interrupted" else " failed"
    )
    return section(title, explained(step, root=""), anchor=f"failure-{step.stem}", class_="failed")


def _others(failed: Sequence[ShownStep]) -> Markup | None:
    if not failed:
        return None
    items = [
        element(
            "li",
            linked(step),
            ": ",
            short_line(step.failure.message if step.failure else "failed", 300),
        )
        for step in failed
    ]
    return section(
        f"{counted(len(failed), 'more step')} failed",
        element("ul", *items),
        anchor="failures",
        class_="failed",
    )
