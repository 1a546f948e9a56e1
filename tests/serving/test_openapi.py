"""The document that a server has of itself, and a real `nbci serve` that is held to it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import jsonschema
import numpy as np
import pytest
import schemathesis
from msgspec import UNSET
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from nbci.serving.openapi import describe
from nbci.serving.protocol import read_request, write_answer
from nbci.serving.served import Version
from nbci.serving.signature import ModelSignature, TensorSpec
from tests.serving.test_protocol import NAMES, SIGNATURE, X, body, refused


def version(
    signature: ModelSignature = SIGNATURE, model: str = "m", number: str = "v1.0.0"
) -> Version:
    batcher: Any = UNSET
    return Version(
        model=model, version=number, platform="onnx", signature=signature, batcher=batcher
    )


def infer_of(document: dict[str, Any], path: str = "/v2/models/m/infer") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path]["post"]
    return found


def fits(schema: dict[str, Any], value: Any) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_document_is_one_of_openapi_and_tells_who_needs_the_token() -> None:
    free = describe([[version()]], asks_token=False)
    schemathesis.openapi.from_dict(free).validate()
    assert "security" not in free

    asking = describe([[version(model="a/{b} c")]], asks_token=True)
    schemathesis.openapi.from_dict(asking).validate()
    assert asking["security"] == [{"token": []}]
    assert asking["paths"]["/v2/health/ready"]["get"]["security"] == []
    infer = infer_of(asking, "/v2/models/a/%7Bb%7D%20c/infer")
    assert "security" not in infer
    assert "401" in infer["responses"]


@pytest.mark.parametrize(
    ("inputs", "is_right"),
    [
        ([X, NAMES], True),
        ([NAMES, X], True),
        ([{**X, "data": [[1, 2, 3], [4, 5, 6]]}, NAMES], True),
        ([{**X, "data": [[[1, 2, 3]]]}, NAMES], False),
        ([{**X, "shape": [2, 4], "data": [1] * 8}, NAMES], False),
        ([{**X, "shape": [6]}, NAMES], False),
        ([{**X, "datatype": "FP64"}, NAMES], False),
        ([{**X, "data": [1e39] * 6}, NAMES], False),
        ([{**X, "data": [True] * 6}, NAMES], False),
        ([X, {**NAMES, "data": [1, 2]}], False),
        ([X], False),
        ([X, X], False),
        ([X, NAMES, NAMES], False),
    ],
)
def test_the_document_takes_what_the_server_takes(
    inputs: list[dict[str, Any]], is_right: bool
) -> None:
    content = infer_of(describe([[version()]], asks_token=False))["requestBody"]["content"]
    assert fits(content["application/json"]["schema"], {"inputs": inputs}) == is_right
    if is_right:
        read_request(body(*inputs), None, SIGNATURE)
    else:
        assert refused(body(*inputs)).status == 400


def test_its_example_is_answered_and_the_answer_fits() -> None:
    infer = infer_of(describe([[version()]], asks_token=False))
    asked = read_request(
        json.dumps(infer["requestBody"]["content"]["application/json"]["example"]).encode(),
        None,
        SIGNATURE,
    )
    assert asked.inputs["X"].shape == (1, 3)
    answers = {"label": np.array([3]), "scores": np.array([[0.5, np.nan]], dtype=np.float32)}
    schema = infer["responses"]["200"]["content"]["application/json"]["schema"]
    answer = json.loads(write_answer("m", "v1.0.0", asked, answers, SIGNATURE)[0])
    assert fits(schema, answer)
    for key, other in (("model_version", "v2.0.0"), ("outputs", [{"name": "other"}])):
        assert not fits(schema, {**answer, key: other})


def test_a_canary_answers_in_the_place_of_its_model_but_not_by_its_version() -> None:
    other = TensorSpec(name="other", datatype="BOOL", shape=())
    canary = version(ModelSignature(inputs=SIGNATURE.inputs, outputs=(other,)), number="v2.0.0")
    document = describe([[version(), canary]], asks_token=False)
    answer = {
        "model_name": "m",
        "model_version": "v2.0.0",
        "outputs": [{"name": "other", "datatype": "BOOL", "shape": [], "data": [True]}],
    }
    for path, is_right in (("infer", True), ("versions/{version}/infer", False)):
        infer = infer_of(document, f"/v2/models/m/{path}")
        schema = infer["responses"]["200"]["content"]["application/json"]["schema"]
        assert fits(schema, answer) == is_right


@pytest.mark.slow
def test_a_server_answers_all_requests_as_its_document_says(served_port: int) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"max-examples": 10},
            # No schema can say that data are as many as the shape says.
            "checks": {"positive_data_acceptance": {"enabled": False}},
            "phases": {"stateful": {"enabled": False}},
        }
    )
    url = f"http://127.0.0.1:{served_port}/openapi.json"
    # A version that is named answers as the model does.
    schema = schemathesis.openapi.from_url(url, config=config).exclude(path_regex="versions.*infer")
    failures: list[str] = []
    statuses: Counter[int] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            failures += failures_of(event)
            for interaction in event.recorder.interactions.values():
                assert interaction.response is not None
                statuses[interaction.response.status_code] += 1
    assert not failures, "\n".join(failures)
    # It was asked rightly and wrongly.
    assert {200, 400, 404, 405, 415} <= statuses.keys()
    assert statuses.total() > 200


def failures_of(event: events.ScenarioFinished) -> list[str]:
    found = []
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info
                found.append(f"{check.name}: {failure.failure}\n{failure.code_sample}")
    return found
