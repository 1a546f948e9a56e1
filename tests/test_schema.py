from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from nbci.errors import ExitCode
from nbci.schema import load, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parent.parent / "schemas"


def test_the_exit_codes_are_those_of_the_program() -> None:
    table = json.loads((SCHEMAS / "exit-codes.json").read_text(encoding="utf-8"))["exit_codes"]
    assert {(row["name"], row["code"]) for row in table} == {(code.name, code.value) for code in ExitCode}


def test_the_pipeline_schema_is_a_schema_and_explains_every_key() -> None:
    schema = load("pipeline")
    jsonschema.Draft202012Validator.check_schema(schema)
    unexplained = [name for name, described in _properties(schema) if "description" not in described]
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
