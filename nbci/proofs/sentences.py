"""What a proof says, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number
from nbci.formatting.terminal import one_line
from nbci.handoff.values import RANDOM_STATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.proof import Agreement, Item, Proof, StepProof, Try

_LONGEST = 200


def proof_sentence(
    steps: Sequence[StepProof],
    tolerance: float,
    *,
    later_seconds: float | None,
    other_machine: bool,
) -> str:
    """The answer of a proof; of the first step that differs, the first thing that does."""
    when = ""
    if later_seconds is not None:
        when = f", {duration(later_seconds)} later"
    if other_machine:
        when += ", on another machine"

    different = first_item(steps, "different")
    if different is not None:
        step, item = different
        return f"not reproduced{when}: {difference_sentence(step, item)}"
    close = first_item(steps, "close")
    if close is None:
        return f"reproduced bit for bit{when}: {_counts(steps)}"
    step, item = close
    # A proof in another folder can differ by its name, where no number differs.
    within = f"within a tolerance of {number(tolerance)}"
    return f"reproduced {within}{when}: {difference_sentence(step, item)}"


def latest_proof(proofs: Sequence[Proof]) -> str:
    """The newest of a run's proofs in a line, and how many there are before it."""
    if not proofs:
        return ""
    latest, *earlier = proofs
    sentence = one_line(latest.sentence)
    if earlier:
        sentence += f" ({counted(len(earlier), 'earlier proof')})"
    return sentence


def agreement_words(agreement: Agreement, tolerance: float) -> str:
    """The answer of a proof where there is room for a few words."""
    if agreement == "identical":
        return "bit for bit"
    if agreement == "close":
        return f"within {number(tolerance)}"
    return "no"


def first_item(steps: Sequence[StepProof], agreement: str) -> tuple[StepProof, Item] | None:
    """The first item of that agreement, in the first step that has one."""
    for step in steps:
        for item in step.items:
            if item.agreement == agreement:
                return step, item
    return None


def difference_sentence(step: StepProof, item: Item) -> str:
    """How one thing that a step gave is not the same."""
    if item.kind == "step":
        return f"step {step.step}: {_short(item.reason)}"
    words = f"{item_name(item)} of step {step.step}"
    if item.agreement == "different":
        words += " is another"
    else:
        words += " is not the same bit for bit"
    details = item_details(item)
    if not details:
        return words
    return f"{words} ({details})"


def item_name(item: Item) -> str:
    """`value model`, `file out.csv`; a random state is named as what it is."""
    if item.name.startswith(RANDOM_STATE):
        return item.name
    return one_line(f"{item.kind} {item.name}")


def item_details(item: Item) -> str:
    """Where in a thing the difference lies, and what it is."""
    parts = []
    if item.place:
        parts.append(item.place)
    if item.reason:
        parts.append(_short(item.reason))
    elif item.largest is not None:
        parts.append(f"by at most {item.largest:.1e} of its size")
    return ": ".join(parts)


def try_words(tried: Try) -> tuple[str, str]:
    """What was held while a step ran, and what came of it."""
    held = "nothing"
    if tried.held:
        held = " and ".join(tried.held)
    results = {"same": "it gave the same", "other": "it gave another thing", "failed": "it failed"}
    return held, f"{results[tried.result]} ({counted(tried.runs, 'run')})"


def _counts(steps: Sequence[StepProof]) -> str:
    """`5 steps, 12 values, 3 files, 4 metrics`, without those of which there are none."""
    totals = {
        "step": len(steps),
        "value": sum(step.values for step in steps),
        "file": sum(step.files for step in steps),
        "metric": sum(step.metrics for step in steps),
    }
    return ", ".join(counted(total, noun) for noun, total in totals.items() if total)


def _short(text: str) -> str:
    line = one_line(text)
    if len(line) > _LONGEST:
        return f"{line[:_LONGEST]}…"
    return line
