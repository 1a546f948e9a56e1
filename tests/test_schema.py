from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbci.errors import ExitCode
from nbci.schema import is_fine, load, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parent.parent / "schemas"


def test_the_exit_codes_are_those_of_the_program() -> None:
    table = json.loads((SCHEMAS / "exit-codes.json").read_text(encoding="utf-8"))["exit_codes"]
    assert {(row["name"], row["code"]) for row in table} == {
        (code.name, code.value) for code in ExitCode
    }


def test_the_pipeline_schema_is_a_schema_and_explains_every_key() -> None:
    schema = load("pipeline")
    jsonschema.Draft202012Validator.check_schema(schema)
    unexplained = [
        name for name, described in _properties(schema) if "description" not in described
    ]
    assert unexplained == []


def _properties(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties.items()
        for value in [*schema.values(), *properties.values()]:
            yield from _properties(value)


def test_a_violation_reads_as_a_sentence() -> None:
    found = violations({"steps": {"a": {"notebok": "x"}}}, "pipeline")
    assert {str(violation) for violation in found} == {
        "'notebook' is missing",
        "unknown key 'notebok' (did you mean 'notebook'?)",
    }


def test_a_gate_in_other_tools_words_is_understood_so_far_as_to_name_ours() -> None:
    gates = [
        {"metric": "auc", "min": 0.9},
        {"metric": "auc", "max": 1},
        {"metric": "auc", "mising": "pass"},
    ]
    found = violations({"steps": {"a": {"notebook": "x"}}, "gates": gates}, "pipeline")
    unknown = [
        (violation.path[-1], violation.suggestion)
        for violation in found
        if violation.about == "key"
    ]
    assert unknown == [("min", "at_least"), ("max", "at_most"), ("mising", "missing")]


WHOLE: dict[str, Any] = {
    "pipeline": "digits",
    "params": {"C": 1.0, "seed": {"default": 7, "help": "text", "type": "int", "choices": [7, 8]}},
    "steps": {
        "ingest": {
            "notebook": "i.ipynb",
            "deps": ["a"],
            "outs": ["b"],
            "predictions": "b",
            "check": "outputs",
            "metrics": ["m.json"],
            "cwd": "project",
        },
        "train": {
            "notebook": "t.ipynb",
            "after": ["ingest"],
            "params": {"C": "${C}"},
            "matrix": {"m": ["svm", 1, None]},
            "agent": "gpu",
            "timeout": "2h",
            "cell_timeout": 90,
            "retries": 1,
            "env": {"N": 2},
            "secrets": ["TOKEN"],
            "environment": "r.lock",
            "container": "i:1",
            "when": True,
            "cache": "enabled",
            "report": "disabled",
        },
    },
    "metrics": {"accuracy": {"direction": "up", "unit": "ratio"}},
    "gates": [
        {"metric": "a", "at_least": 0.9, "severity": "warn"},
        {"expr": "a > 1"},
        {
            "metric": "a",
            "between": [0, 1],
            "baseline": "champion",
            "max_drop": "2%",
            "first_run": "pass",
        },
    ],
    "models": {
        "d": {"path": "m.onnx", "stage": "production", "branches": ["main"], "signature": {}},
        "e": {"paths": ["x"]},
    },
    "triggers": {"cron": ["H 3 * * *"], "poll": "x", "jobs": ["y"]},
    "order": "dataflow",
    "keep_going": False,
    "shell_errors": "fail",
    "run_timeout": 1.5,
}

values: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        1.0,
        0.0,
        -0.5,
        1e400,
        float("nan"),
        10**30,
        "",
        "a",
        "A b",
        "x\n",
        "30m",
        "30m\n",
        "1h30",
        "up",
        "fail",
        "enabled",
        [],
        [1],
        ["a"],
        [""],
        [[]],
        [None],
        [1, 2],
        [1, 2, 3],
        {},
        {"a": 1},
        {"default": 1},
        {"notebook": "n"},
    ]
).map(copy.deepcopy)
names = st.sampled_from(
    [
        "a",
        "A",
        "1",
        "a b",
        "",
        "-",
        "a\n",
        "path",
        "paths",
        "metric",
        "expr",
        "default",
        "notebook",
        "steps",
    ]
)


def _inside(document: Any) -> Iterator[Any]:
    """Every mapping and list of a document."""
    if isinstance(document, dict | list):
        yield document
        for inner in document.values() if isinstance(document, dict) else document:
            yield from _inside(inner)


@st.composite
def changed_documents(draw: st.DrawFn) -> Any:
    """What the schema allows, with a few things put in, replaced or left out."""
    document = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(list(_inside(document))))
        key = (
            draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if place
            else None
        )
        if isinstance(place, dict) and (key is None or draw(st.booleans())):
            key = draw(names)
        if key is None:
            place.append(draw(values))
        elif draw(st.booleans()):
            place[key] = draw(values)
        elif isinstance(place, list) or key in place:
            del place[key]
    return document


@given(changed_documents() | values)
@example(WHOLE)
def test_the_quick_look_allows_what_the_schema_allows(document: Any) -> None:
    errors = list(jsonschema.Draft202012Validator(load("pipeline")).iter_errors(document))
    if is_fine(document, "pipeline"):
        assert errors == []
    elif "\\n" not in json.dumps(
        document
    ):  # `$` in a pattern allows a line's end, which the quick look leaves open
        assert errors != []


@pytest.mark.parametrize(
    "document",
    [
        {"steps": {"a": {"notebook": "n"}}, "run_timeout": "30m\n"},
        {"steps": {"a\n": {"notebook": "n"}}},
    ],
)
def test_a_pattern_does_not_end_before_a_newline(document: Any) -> None:
    assert not is_fine(document, "pipeline")
    assert len(violations(document, "pipeline")) == 1
