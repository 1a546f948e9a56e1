"""Ask a server for what a release's sample records, over the Open Inference Protocol."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from nbci.behaviour.recorded_answers import UnreadableSampleError, difference, read_sample
from nbci.errors import IntegrityError, Location
from nbci.serving.protocol import HEADER_LENGTH, from_bytes, to_bytes
from nbci.serving.refusal import Refusal
from nbci.serving.signature import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.behaviour.recorded_answers import Array
    from nbci.deployment.server_client import Client
    from nbci.deployment.target import Bundle

_INFER_SECONDS = 30.0


class _Output(Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Answer(Struct):
    outputs: list[_Output]
    model_version: str | None = None


class _Described(Struct):
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]


class Question(Struct, frozen=True, kw_only=True):
    """A request to one of a release's models, and the answer that its sample records."""

    name: str
    version: str
    body: bytes
    json_bytes: int
    recorded: Mapping[str, Array]

    def ask(self, client: Client) -> str | None:
        """What is wrong with the answer; None where it is as recorded. OSError without one."""
        # Bytes, not JSON: so does a client that cares for time, and the figures are about those.
        status, body, headers = client.ask(
            f"/v2/models/{quote(self.name)}/infer",
            self.body,
            {HEADER_LENGTH: str(self.json_bytes), "content-type": "application/octet-stream"},
            _INFER_SECONDS,
        )
        if status != http.client.OK:
            return f"{self.name} answers its sample with status {status}"
        try:
            return self._compare(body, headers.get(HEADER_LENGTH))
        # Whatever answers at the address need not speak the protocol.
        except (msgspec.MsgspecError, Refusal, ValueError, OverflowError) as error:
            return f"the answer of {self.name} cannot be read: {error}"

    def _compare(self, body: bytes, length: str | None) -> str | None:
        size = len(body) if length is None else int(length)
        answer = msgspec.json.decode(body[:size], type=_Answer)
        # Another version that computes the same would pass everything else.
        if answer.model_version not in (None, self.version):
            return f"{answer.model_version} answers instead of {self.version}"
        binary = memoryview(body)[size:]
        found = {}
        for output in answer.outputs:
            count = output.parameters.get("binary_data_size", 0)
            found[output.name] = _array(output, binary[:count])
            binary = binary[count:]
        # What the sample does not record is nothing that could be compared.
        for name, recorded in self.recorded.items():
            if name not in found:
                return f"{self.name} leaves out its output {name}"
            if not difference(recorded, found[name])["same"]:
                return f"{self.name} does not answer its sample as recorded: {name} differs"
        return None


def questions_of(bundle: Bundle, client: Client, *, one_row: bool = False) -> tuple[Question, ...]:
    """A request for each of the release's models; none where it has no sample.

    With `one_row` it is the first row of the sample, where the model takes any number of them.
    OSError where the server does not say what it takes.
    """
    if bundle.manifest.sample is None:
        return ()
    path = bundle.folder / bundle.manifest.sample.path
    try:
        sample = read_sample(path)
    except UnreadableSampleError as error:
        raise IntegrityError(
            f"the sample cannot be read: {error}", where=Location(str(path))
        ) from error
    found = []
    for name in bundle.manifest.served:
        described = _describe(name, client)
        asked = sample
        if one_row and all(spec.is_batched for spec in (*described.inputs, *described.outputs)):
            asked = {name: array[:1] for name, array in sample.items()}
        found.append(_question(name, bundle.version, described, asked))
    return tuple(found)


def _describe(name: str, client: Client) -> _Described:
    status, body, _ = client.ask(f"/v2/models/{quote(name)}")
    if status != http.client.OK:
        raise OSError(f"{name} is not served there: status {status}")
    try:
        return msgspec.json.decode(body, type=_Described)
    except msgspec.MsgspecError as error:
        raise OSError(f"what is said of {name} cannot be read: {error}") from error


def _question(
    name: str, version: str, described: _Described, sample: Mapping[str, Array]
) -> Question:
    inputs, parts = [], []
    for spec in described.inputs:
        if spec.name not in sample:
            raise IntegrityError(f"the sample of {name} lacks the input {spec.name}")
        array = sample[spec.name]
        # As bytes: JSON has neither NaN nor the exact numbers.
        part = to_bytes(array, spec.datatype)
        inputs.append(
            {
                "name": spec.name,
                "shape": list(array.shape),
                "datatype": spec.datatype,
                "parameters": {"binary_data_size": len(part)},
            }
        )
        parts.append(part)
    document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    header = msgspec.json.encode(document)
    recorded = {spec.name: sample[spec.name] for spec in described.outputs if spec.name in sample}
    return Question(
        name=name,
        version=version,
        body=b"".join((header, *parts)),
        json_bytes=len(header),
        recorded=recorded,
    )


def _array(output: _Output, binary: memoryview) -> Any:
    import numpy as np

    if output.data is not None:
        return np.array(output.data).reshape(output.shape)
    spec = TensorSpec(name=output.name, datatype=output.datatype, shape=tuple(output.shape))
    return from_bytes(spec, output.shape, binary)
