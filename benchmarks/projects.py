"""Projects to measure with: notebooks and pipelines of any size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_notebook(path: Path, cells: Iterable[tuple[str, tuple[str, ...]]]) -> Path:
    """A Python notebook of these cells: source and tags of each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {"tags": list(tags)} if tags else {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, (source, tags) in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    path.write_text(
        json.dumps({"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def chain(project: Path, steps: int) -> Path:
    """One notebook of so many trivial steps.

    Each takes a value from the one before and gives one.
    """
    (project / ".git").mkdir(parents=True)
    first = ("x0 = 0", ("step:s0",))
    rest = ((f"x{n} = x{n - 1} + 1", (f"step:s{n}",)) for n in range(1, steps))
    return write_notebook(project / "chain.ipynb", (first, *rest))


def listed(project: Path, steps: int) -> Path:
    """A pipeline file of so many steps, ten in a row.

    Each has a file that it reads and one that it writes.
    """
    (project / ".git").mkdir(parents=True)
    write_notebook(project / "step.ipynb", [("n = 0", ("parameters",)), ("print(n)", ())])
    lines = ["steps:"]
    for n in range(steps):
        dep = f"out/{n - 1}.txt" if n % 10 else f"in/{n // 10}.txt"
        lines.append(
            f"  s{n}: {{notebook: step.ipynb, params: {{n: {n}}}, deps: [{dep}], outs: "
            f"[out/{n}.txt]}}"
        )
        if not n % 10:
            source = project / f"in/{n // 10}.txt"
            source.parent.mkdir(exist_ok=True)
            source.write_text(f"{n}\n")
    pipeline = project / "pipelines" / "listed.yaml"
    pipeline.parent.mkdir()
    pipeline.write_text("\n".join(lines) + "\n")
    return pipeline


def newest_run(project: Path) -> Path:
    """The folder of the run that began last."""
    return max((project / ".nbci" / "runs").iterdir())
