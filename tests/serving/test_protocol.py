"""Requests and answers of the Open Inference Protocol: what is read, what is refused, and how."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbci.serving.protocol import read_request, write_answer
from nbci.serving.refusal import Refusal
from nbci.serving.signature import ModelSignature, TensorSpec

SIGNATURE = ModelSignature(
    inputs=(
        TensorSpec(name="X", datatype="FP32", shape=(-1, 3)),
        TensorSpec(name="names", datatype="BYTES", shape=(-1,)),
    ),
    outputs=(
        TensorSpec(name="label", datatype="INT64", shape=(-1,)),
        TensorSpec(name="scores", datatype="FP32", shape=(-1, 2)),
    ),
)
X = {"name": "X", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6.5]}
NAMES = {"name": "names", "shape": [2], "datatype": "BYTES", "data": ["a", "ä"]}


def body(*inputs: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **fields}).encode()


def refused(text: bytes, header_length: str | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_request(text, header_length, SIGNATURE)
    return caught.value


def test_flat_and_nested_data_are_the_same_tensor() -> None:
    flat = read_request(body(X, NAMES, id="7"), None, SIGNATURE)
    nested = {**X, "data": [[1, 2, 3], [4, 5, 6.5]]}
    again = read_request(body(nested, NAMES), None, SIGNATURE)
    expected = np.array([[1, 2, 3], [4, 5, 6.5]], dtype=np.float32)
    for found in (flat, again):
        assert found.inputs["X"].dtype == np.float32
        np.testing.assert_array_equal(found.inputs["X"], expected)
        assert found.inputs["names"].tolist() == ["a", "ä"]
    assert flat.id == "7"
    assert flat.outputs == {"label": False, "scores": False}


def test_tensors_behind_the_json_are_read_as_bytes() -> None:
    rows = np.arange(6, dtype="<f4")
    texts = b"".join(struct.pack("<I", len(text)) + text for text in (b"a", "ä".encode()))
    header = body(
        {"name": "X", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}},
        {
            "name": "names",
            "shape": [2],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(texts)},
        },
        outputs=[{"name": "scores", "parameters": {"binary_data": True}}],
    )
    found = read_request(header + rows.tobytes() + texts, str(len(header)), SIGNATURE)
    np.testing.assert_array_equal(found.inputs["X"], rows.reshape(2, 3))
    assert found.inputs["names"].tolist() == ["a", "ä"]
    assert found.outputs == {"scores": True}

    left = refused(header + rows.tobytes() + texts + b"!", str(len(header)))
    assert left.reason == "1 bytes are left behind the tensors of the body"
    short = refused(header + rows.tobytes(), str(len(header)))
    assert "the input 'names' says more bytes than the 0 that are left" in short.reason


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([X], "the input 'names' is missing"),
        ([X, X, NAMES], "the input 'X' is there twice"),
        ([{**X, "name": "Y"}, NAMES], "the model has no input 'Y'; its inputs: 'X', 'names'"),
        ([{**X, "datatype": "FP64"}, NAMES], "the input 'X' is FP32, not 'FP64'"),
        ([{**X, "shape": [3, 2]}, NAMES], "the input 'X' has the shape [-1, 3], not [3, 2]"),
        ([{**X, "shape": [6]}, NAMES], "the input 'X' has the shape [-1, 3], not [6]"),
        ([{**X, "shape": [-2, 3]}, NAMES], "the shape of the input 'X' is none"),
        (
            [{**X, "data": [1, 2]}, NAMES],
            "the input 'X' has 2 values, and its shape takes 6",
        ),
        (
            [{**X, "data": [[1, 2, 3], [4, 5]]}, NAMES],
            "the data of 'X' are not nested as its shape is",
        ),
        ([{**X, "shape": [1] * 100_000}, NAMES], f"not [{'1, ' * 26}1"),
        (
            [{**X, "data": ["secret"] * 6}, NAMES],
            "the data of the input 'X' are no list of FP32, flat or nested as its shape is",
        ),
        ([{**X, "data": [1e300] * 6}, NAMES], "a value of the input 'X' is outside of FP32"),
        ([{key: X[key] for key in ("name", "shape", "datatype")}, NAMES], "has no data"),
        ([{**X, "parameters": {"binary_data_size": -1}}, NAMES], "is no number of bytes"),
        ([{**X, "parameters": {"binary_data_size": True}}, NAMES], "is no number of bytes"),
    ],
)
def test_what_does_not_fit_names_the_tensor_and_the_reason_and_no_data(
    inputs: list[dict[str, Any]], reason: str
) -> None:
    refusal = refused(body(*inputs))
    assert refusal.status == 400
    assert reason in refusal.reason
    assert "secret" not in refusal.reason


@pytest.mark.parametrize(
    ("text", "header_length"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"inputs": 3}', None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'{"inputs": [{"name": "X", "shape": [1], "datatype": "FP32", "data": NaN}]}', None),
        (body(X, NAMES), "x"),
        (body(X, NAMES), "99999"),
        (body(X, NAMES), "-1"),
        (body(X, NAMES), "9" * 5000),
        (body(X, NAMES).replace(b'"a"', b'"\xff"'), None),
        (body(X, NAMES).replace(b'"a"', b'"\\ud800"'), None),
        (body(X, NAMES), "3"),
    ],
)
def test_what_is_no_request_is_refused(text: bytes, header_length: str | None) -> None:
    assert refused(text, header_length).status == 400


@pytest.mark.parametrize("data", [7, [7]])
def test_a_tensor_without_axes_has_one_value(data: Any) -> None:
    one = TensorSpec(name="X", datatype="INT64", shape=())
    signature = ModelSignature(inputs=(one,), outputs=())
    tensor = {"name": "X", "shape": [], "datatype": "INT64", "data": data}
    found = read_request(body(tensor), None, signature).inputs["X"]
    assert (found.shape, found.item()) == ((), 7)


@pytest.mark.parametrize("size", [2**40, 2**62, 2**63, 10**30])
def test_no_axis_is_larger_than_an_array_may_be(size: int) -> None:
    free = TensorSpec(name="X", datatype="FP32", shape=(-1, -1, -1))
    signature = ModelSignature(inputs=(free,), outputs=())
    ways: tuple[dict[str, Any], ...] = ({"data": []}, {"parameters": {"binary_data_size": 0}})
    for given_as in ways:
        tensor = {"name": "X", "shape": [0, size, size], "datatype": "FP32", **given_as}
        text = body(tensor)
        with pytest.raises(Refusal, match="the shape of the input 'X' is none"):
            read_request(text, str(len(text)), signature)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(0, 300).map(str)))
def test_any_bytes_are_read_or_refused(text: bytes, header_length: str | None) -> None:
    whole = body(X, NAMES)
    for each in (text, whole[: len(text)] + text, whole[:-20] + text):
        # Any other exception fails the test.
        with contextlib.suppress(Refusal):
            read_request(each, header_length, SIGNATURE)


TYPES = ModelSignature(
    inputs=tuple(
        TensorSpec(name=datatype, datatype=datatype, shape=(-1, -1))
        for datatype in ("BOOL", "INT8", "FP64", "BYTES")
    ),
    outputs=(),
)
SIZES = st.integers(0, 3) | st.sampled_from([-1, 2**31, 2**63, 10**30])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["BOOL", "INT8", "FP64", "BYTES"]),
        "shape": st.lists(SIZES, min_size=1, max_size=3),
    },
    optional={
        "data": st.lists(st.none() | st.integers(-200, 200) | st.floats() | st.text(), max_size=4),
        "parameters": st.fixed_dictionaries(
            {"binary_data_size": st.integers(-1, 20) | st.booleans() | st.just("4")}
        ),
    },
)


@settings(deadline=None, max_examples=200)
@given(st.lists(TENSORS, max_size=4), st.binary(max_size=40), st.integers(-3, 3))
def test_tensors_of_any_form_are_read_or_refused(
    tensors: list[dict[str, Any]], binary: bytes, shift: int
) -> None:
    # An input that is its own type, so that most are refused for what they hold.
    given_as = {each["name"]: {**each, "datatype": each["name"]} for each in tensors}
    for spec in TYPES.inputs:
        empty = {"name": spec.name, "datatype": spec.datatype, "shape": [1, 0], "data": []}
        given_as.setdefault(spec.name, empty)
    # json writes NaN and the infinities as no JSON.
    header = body(*given_as.values())
    with contextlib.suppress(Refusal):
        found = read_request(header + binary, str(len(header) + shift), TYPES).inputs
        assert {name: array.ndim for name, array in found.items()} == dict.fromkeys(given_as, 2)


def test_bytes_that_are_no_bool_are_refused() -> None:
    flag = TensorSpec(name="f", datatype="BOOL", shape=(-1,))
    signature = ModelSignature(inputs=(flag,), outputs=())
    parameters = {"binary_data_size": 2}
    header = body({"name": "f", "shape": [2], "datatype": "BOOL", "parameters": parameters})
    found = read_request(header + b"\0\1", str(len(header)), signature)
    assert found.inputs["f"].tolist() == [False, True]
    with pytest.raises(Refusal, match="a value of the input 'f' is outside of BOOL"):
        read_request(header + b"\0\2", str(len(header)), signature)


def test_answers_in_json_and_as_bytes() -> None:
    request = read_request(
        body(X, NAMES, id="7", outputs=[{"name": "scores", "parameters": {"binary_data": True}}]),
        None,
        SIGNATURE,
    )
    scores = np.array([[0.5, np.nan]], dtype=np.float32)
    text, length = write_answer("m", "v1.0.0", request, {"scores": scores}, SIGNATURE)
    assert length is not None
    answer = json.loads(text[:length])
    assert answer["id"] == "7"
    assert (answer["model_name"], answer["model_version"]) == ("m", "v1.0.0")
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 8}
    np.testing.assert_array_equal(np.frombuffer(text[length:], "<f4").reshape(1, 2), scores)

    plain = read_request(body(X, NAMES), None, SIGNATURE)
    label = np.array([3])
    text, length = write_answer("m", "v1", plain, {"label": label, "scores": scores}, SIGNATURE)
    assert length is None
    # JSON has no NaN.
    assert [output["data"] for output in json.loads(text)["outputs"]] == [[3], [0.5, None]]
