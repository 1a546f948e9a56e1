"""The schemas of plan and record are those of the types; NBCI_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbci.plan.model import Plan
from nbci.records.blames import Blame
from nbci.records.decision import Decision
from nbci.records.manifest import Manifest
from nbci.records.monitoring import MonitorResult
from nbci.records.page import BuildPage
from nbci.records.profile import ReleaseProfile
from nbci.records.proof import Proof
from nbci.records.run_record import RunRecord, StepRecord
from nbci.sweeps.study_record import SweepRecord, TrialRecord

UPDATE = bool(
    os.environ.get("NBCI_UPDATE_GOLDEN")
)  # read here: the guards clear the environment before tests run
SCHEMAS = Path(__file__).parents[2] / "schemas"


def schema_of(kind: type, title: str) -> dict[str, Any]:
    """The JSON Schema of a dataclass, as it is kept in the repository."""
    schema = cleaned(msgspec.json.schema(kind))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def cleaned(value: Any) -> Any:
    """The schema with docstrings as text: no indentation, and a line for each paragraph."""
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if key == "description" and isinstance(item, str):
            paragraphs = inspect.cleandoc(item).split("\n\n")
            result[key] = "\n\n".join(" ".join(text.split()) for text in paragraphs)
        else:
            result[key] = cleaned(item)
    return result


@pytest.mark.parametrize(
    ("name", "kind", "title"),
    [
        ("plan", Plan, "A plan of nbci: `nbci plan TARGET --json`"),
        ("run", RunRecord, "The record of a run: run.json"),
        ("step", StepRecord, "The record of a step: steps/NAME/record.json"),
        ("proof", Proof, "What came of proving a run: `nbci prove --json`, proof.json"),
        ("blame", Blame, "Why a metric moved between two runs: `nbci blame --json`"),
        ("decision", Decision, "Why a model was to be trained again: `nbci decisions --json`"),
        ("page", BuildPage, "What a build's page shows of its run: `nbci finish --out`, page.json"),
        ("sweep", SweepRecord, "A sweep: sweep.json"),
        ("profile", ReleaseProfile, "What a release's data look like: profile.json"),
        ("monitor", MonitorResult, "What a monitor found: `nbci monitor --json`, monitor.json"),
        ("trial", TrialRecord, "A line of trials.jsonl: what became of a trial so far"),
        ("manifest", Manifest, "The evidence of a release: .nbci/release.json in its commit"),
    ],
)
def test_the_schema_is_that_of_the_type(name: str, kind: type, title: str) -> None:
    path = SCHEMAS / f"{name}.schema.json"
    expected = json.dumps(schema_of(kind, title), indent=1) + "\n"
    if UPDATE:
        path.write_text(expected, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == expected
