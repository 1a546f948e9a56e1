"""The output of `nbci run --json` and `nbci show --json`, checked against its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

if TYPE_CHECKING:
    from subprocess import CompletedProcess

_SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas/show.schema.json").read_text(encoding="utf-8")
)


def document(completed: CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON document on stdout."""
    assert completed.stdout, completed.stderr
    shown: dict[str, Any] = json.loads(completed.stdout)
    jsonschema.validate(shown, _SCHEMA)
    return shown


def results(shown: dict[str, Any]) -> dict[str, str]:
    """Each step's result."""
    return {step["name"]: step["result"] for step in shown["steps"]}


def failure(shown: dict[str, Any], step: str) -> dict[str, Any]:
    """The failure of a step that failed."""
    found: dict[str, Any] = next(one for one in shown["steps"] if one["name"] == step)["failure"]
    return found


def run_folder(root: Path, shown: dict[str, Any]) -> Path:
    """The folder of the run."""
    return root / ".nbci" / "runs" / str(shown["run"])
