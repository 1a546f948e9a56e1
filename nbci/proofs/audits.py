"""What an audit of a kept result says, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import listed, number
from nbci.proofs.sentences import first_item, item_details, item_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.records.proof import Agreement, Item, StepProof
    from nbci.records.run_record import StepRecord
    from nbci.records.step_audit import AuditCause

_NAMED = 5
_CAUSES = {
    "input": "The new result came twice: an input that nbci does not see has changed",
    "chance": "It gives another result each time",
    "place": "In the project's folder the kept result came again: it depends on the folder that "
    "it runs in, or on chance",
}
_SUSPECTED = {"input": "it may be", "chance": "it uses", "place": "it uses"}
_REMEDIES = {
    "input": "Declare it (`deps`, `env`, a parameter), or say `cache: disabled`.",
    "chance": "None is kept, unless it says `cache: enabled`. Seed its random numbers: "
    "`nbci prove` tells which.",
    "place": "Keep that out of its results, or say `cache: disabled`.",
}


def audited_steps(records: Iterable[StepRecord]) -> dict[Agreement | None, list[str]]:
    """The names of the steps that were audited, by what came of it; None: they were not checked."""
    names: dict[Agreement | None, list[str]] = {}
    for record in records:
        if record.audit is not None:
            names.setdefault(record.audit.agreement, []).append(record.name)
    return names


def found_sentence(proof: StepProof, kept: str, tolerance: float) -> str:
    """What came of comparing a step with what the run `kept` has of it."""
    different = first_item([proof], "different")
    if different is not None:
        return f"it does not give what run {kept} kept: {_described(different)}"
    close = first_item([proof], "close")
    if close is not None:
        within = f"within a tolerance of {number(tolerance)}"
        return f"run again for an audit, it gave the same {within}: {_described(close)}"
    return "run again for an audit, it gave the same bit for bit"


def _described(found: tuple[StepProof, Item]) -> str:
    """A thing that is not the same, and in what."""
    _, item = found
    details = item_details(item)
    if not details:
        return item_name(item)
    return f"{item_name(item)} ({details})"


def unknown_sentence(reason: str) -> str:
    """What is said where the step could not be run again."""
    return f"it was not audited, and its kept result is used unchecked: {reason}"


def settled_sentence(found: str, cause: AuditCause | None, suspects: tuple[str, ...]) -> str:
    """What was found, why, and what to do."""
    if cause is None:
        return found
    suspected = ""
    if suspects:
        suspected = f"; {_SUSPECTED[cause]} {listed(suspects, _NAMED, between=' or ')}"
    return f"{found}. {_CAUSES[cause]}{suspected}. {_REMEDIES[cause]}"
