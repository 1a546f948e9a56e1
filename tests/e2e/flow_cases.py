"""Known notebooks for the flow of values: each stands for a kind of mistake that was made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """Tags and source of each cell."""

    name: str
    cells: list[tuple[str, str]]


def _cases(text: str) -> tuple[Case, ...]:
    return tuple(_case(part) for part in text.removeprefix("=== ").split("\n=== "))


def _case(text: str) -> Case:
    name, *parts = ("\n" + text).split("\n# %% ")
    cells = [part.partition("\n") for part in parts]
    return Case(name.strip(), [(tags, source.rstrip("\n")) for tags, _, source in cells])


CASES = _cases((Path(__file__).parent / "flow_cases.txt").read_text(encoding="utf-8"))
"""In the text a line `=== NAME` begins a notebook, a line `# %% TAGS` one of its cells."""
