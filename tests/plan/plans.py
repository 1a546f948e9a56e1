"""Plans of notebooks written cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.engine.prepare import plan_target
from nbci.project.sources import read_target
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.plan.model import Plan


def plan_of(
    folder: Path, cells: Sequence[str | tuple[str, str]], *pairs: str, **options: Any
) -> Plan:
    """The plan of a notebook of these cells."""
    return planned(write_notebook(folder / "n.ipynb", cells, **options), *pairs)


def planned(target: Path, *pairs: str) -> Plan:
    """The plan of a file, with `-p` pairs."""
    return plan_target(read_target(str(target)), environ={}, pairs=pairs)
