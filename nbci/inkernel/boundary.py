"""What happens at the two ends of a step's own cells."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

from . import facts, patched_modules, process_state, random_state, values


def begin(  # called with a JSON document, by name
    load: dict[str, Any], folder: str, states: list[Any], verified: list[str], followed: bool
) -> dict[str, Any]:
    """Load the values and the random state.

    `followed`: other steps come after this one, which see what it leaves.
    """
    answer = values.load(**load)
    if answer:
        return answer
    start_pyplot_for_figures()
    answer = random_state.begin(folder, states, verified)
    if followed and not answer:
        process_state.begin()
        patched_modules.begin()
    return answer


def start_pyplot_for_figures() -> None:
    """Start pyplot where a figure has come.

    The step that made it did, and IPython shows figures from then on.
    """
    if "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules:
        with contextlib.suppress(Exception):
            pyplot = importlib.import_module("matplotlib.pyplot")
            pyplot.switch_backend(pyplot.rcParams["backend"])


def finish(probes: list[str], folder: str, blake3: list[str]) -> dict[str, Any]:
    """Everything that is known at the end, in one document."""
    random = random_state.finish(folder, blake3)
    left = sorted(process_state.finish() + patched_modules.finish())
    return {**facts.finish(probes), "random": random, "left": left}
