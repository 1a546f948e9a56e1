"""Steps that have no notebook of their own: nbci itself does what they ask for.

Such a step is written `NODE: {KIND: settings}`. It becomes a step of a notebook that nbci brings,
whose one cell calls the command of that name as a process and hands it the settings. So it is
planned, runs on agents, is retried, stopped, shown and recorded as every step is.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import UsageError
from nbci.notebook.read import parse_notebook
from nbci.pipeline.tagged import understand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.params.yaml_text import YamlText
    from nbci.pipeline.model import TaggedNotebook

# No project has a notebook of its own there, and every name of a file can be made of it.
_FOLDER = f"{NBCI_FOLDER}/steps"
PYTHON = "NBCI_PYTHON"
"""The variable by which such a step finds the Python that has nbci."""
_KEYS = ("description", "after", "matrix", "agent", "timeout", "retries", "env", "secrets")
_COMMON = (*_KEYS, "when", "report", "container")
"""What such a step may say as every step does."""


class StepKind(Struct, frozen=True, kw_only=True):
    """A kind of step: the command `nbci NAME --settings -` that does it, and what that writes.

    `outs` and `metrics` are files below the step's folder, which is its setting `out`. The settings
    in `deps` are paths that it reads. `title` is what the step's page begins with.
    """

    name: str
    title: str
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()

    @property
    def notebook(self) -> str:
        """The path of the notebook that nbci brings for it."""
        return f"{_FOLDER}/{self.name}.ipynb"


KINDS = (
    StepKind(
        name="monitor",
        title="Judge a window of data against the release that answers it",
        outs=(
            *("monitor.json", "junit.xml", "metrics.prom"),
            *("index.html", "style.css", "images"),
        ),
        metrics=("metrics.json",),
        deps=("data",),
    ),
    StepKind(
        name="replay",
        title="Send logged requests through two releases, and compare their answers",
        outs=("replay.json",),
        metrics=("metrics.json",),
    ),
)
"""A kind more is a row here, a key of a step in the schema, and a command that takes settings."""

_CELL = """\
import json
import os
import subprocess
import sys

# Another Python than that of nbci may run this kernel.
python = os.environ.get("NBCI_PYTHON", sys.executable)
command = [python, "-m", "nbci", "COMMAND", "--settings", json.dumps(settings)]
why = "see above"
with subprocess.Popen(
    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
) as process:
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.startswith("nbci: error: "):
            why = line.strip().removeprefix("nbci: error: ")
# 3 says that a rule refuses: the run's verdict has that, and the step has done its work.
if process.returncode not in (0, 3):
    raise RuntimeError(f"nbci COMMAND ended with exit code {process.returncode}: {why}")
"""


def with_notebooks(text: YamlText) -> Mapping[str, Any]:
    """The data of a pipeline file, its steps without a notebook as steps of those of nbci."""
    data: Mapping[str, Any] = text.data
    steps = {node: _with_notebook(text, node, fields) for node, fields in data["steps"].items()}
    return {**data, "steps": steps}


def _with_notebook(text: YamlText, node: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = kind_of(fields)
    if kind is None:
        return fields
    for key in fields:
        if key != kind.name and key not in _COMMON:
            raise UsageError(
                f"`{key}` does not go with `{kind.name}`, in step {node}",
                hint=f"a step that nbci itself does takes {', '.join(_COMMON)}",
                where=text.where(("steps", node, key), key=True),
            )
    # What the file says stays as it is: its places are looked up by its own keys.
    settings = dict(fields[kind.name])
    folder = settings.setdefault("out", _folder(node, fields)).rstrip("/")
    common = {key: value for key, value in fields.items() if key != kind.name}
    return {
        **common,
        "notebook": kind.notebook,
        "params": {"settings": settings},
        "deps": _deps(kind, settings),
        "outs": [f"{folder}/{name}" for name in kind.outs],
        "metrics": [f"{folder}/{name}" for name in kind.metrics],
        # What it looks at, such as a log, is another every time.
        "cache": "disabled",
        "cwd": "project",
    }


def _folder(node: str, fields: Mapping[str, Any]) -> str:
    """Where a step leaves its files if it does not say: each combination has a place of its own."""
    parts = ["build", node]
    for key in fields.get("matrix", {}):
        parts.append(f"${{matrix.{key}}}")
    return "/".join(parts)


def _deps(kind: StepKind, settings: Mapping[str, Any]) -> list[str]:
    paths = []
    for key in kind.deps:
        path = settings.get(key)
        # What lies outside of the project is on this machine, and nothing that a step made.
        if path is not None and not path.startswith("/"):
            paths.append(path)
    return paths


def kind_of(fields: Mapping[str, Any]) -> StepKind | None:
    """The kind of a step of a pipeline file; None of one with a notebook."""
    # The schema lets several stand: the second is refused as a key that does not go with the first.
    for kind in KINDS:
        if kind.name in fields:
            return kind
    return None


def kind_of_notebook(path: str) -> StepKind | None:
    """The kind whose notebook nbci brings under that path; None of any other path."""
    for kind in KINDS:
        if kind.notebook == path:
            return kind
    return None


@cache
def notebooks_of_kinds() -> Mapping[str, TaggedNotebook]:
    """The notebooks that nbci brings, by path."""
    return {kind.notebook: _notebook(kind) for kind in KINDS}


def _notebook(kind: StepKind) -> TaggedNotebook:
    title: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": kind.title}
    cells = [
        title,
        _code("settings = {}", tags=["parameters"]),
        _code(_CELL.replace("COMMAND", kind.name)),
    ]
    # nbformat asks for ids since 4.5, and a random one would be another in every process.
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{number}"
    document = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return understand(parse_notebook(json.dumps(document).encode(), kind.notebook))


def _code(source: str, tags: list[str] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": tags or []},
        "outputs": [],
        "source": source,
    }
