"""The server's description of itself: OpenAPI 3.1, of the protocol and its models' tensors.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import nbci
from nbci.serving.datatypes import BYTES, bounds_of
from nbci.serving.protocol import HEADER_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.serving.served import Version
    from nbci.serving.signature import TensorSpec

    Schema = dict[str, Any]

_JSON = "application/json"
_BINARY = "application/octet-stream"
_LARGEST_EXAMPLE = 100
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_YES_OR_NO: Schema = {"type": "boolean"}
_PARAMETERS: Schema = {"type": "object"}
_REQUEST_ID = "x-request-id"
_REFUSALS = {
    400: "The request does not fit the model: the text names the tensor and the reason",
    401: "The server asks for its token",
    404: "There is no such model or version here",
    405: "It is asked otherwise; the header Allow says how",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The body is of a type that is not read",
    500: "The model failed",
    503: "Too many requests wait, or there was no answer in time",
}
_ERROR: Schema = {"$ref": "#/components/schemas/Error"}
_ID_HEADER = {_REQUEST_ID: {"$ref": "#/components/headers/RequestId"}}
_OF_INFER = (400, 401, 404, 408, 413, 415, 500, 503)


def describe(models: Sequence[Sequence[Version]], *, asks_token: bool) -> Schema:
    """The document of a server; a model is its version, with those that answer in its place."""
    paths: Schema = {
        "/v2": _get(
            "The server and its extensions",
            _object(name=_TEXT, version=_TEXT, extensions=_array(_TEXT)),
            (401, 503),
        ),
        "/v2/health/live": _get("Whether the server answers", _object(live=_YES_OR_NO)),
        "/v2/health/ready": _readiness("Whether requests are to come here"),
        "/metrics": _get("What the server counts", _TEXT, (401,), media_type="text/plain"),
        "/openapi.json": _get("This document", {"type": "object"}, (401, 503)),
    }
    for versions in models:
        paths |= _model_paths(versions)
    refusals = {str(status): _refusal(text) for status, text in _REFUSALS.items()}
    components: Schema = {
        "schemas": {"Error": _object(error=_TEXT)},
        "headers": {"RequestId": {"schema": _TEXT}},
        "responses": refusals,
    }
    document: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "nbci serve", "version": nbci.__version__},
        "paths": paths,
        "components": components,
    }
    if asks_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        # Whoever watches servers has no token.
        for path in ("/v2/health/live", "/v2/health/ready"):
            paths[path]["get"]["security"] = []
    return document


def _model_paths(versions: Sequence[Version]) -> Schema:
    current = versions[0]
    # Slashes in a name stay as they are, and a brace would begin a parameter.
    path = f"/v2/models/{quote(current.model)}"
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": [current.version]},
    }
    by_name = _paths_of(path, versions, [])
    # A version that is named is the one that answers.
    by_version = _paths_of(f"{path}/versions/{{version}}", (current,), [version])
    return by_name | by_version


def _paths_of(path: str, versions: Sequence[Version], parameters: list[Schema]) -> Schema:
    model = versions[0].model
    described = {
        path: _get(f"The inputs and outputs of {model}", _metadata(model), (401, 404, 503)),
        f"{path}/ready": _readiness(f"Whether {model} answers", name={"const": model}),
        f"{path}/infer": {"post": _infer(versions)},
    }
    for item in described.values():
        if parameters:
            item["parameters"] = parameters
    return described


def _metadata(model: str) -> Schema:
    shape = _array({"type": "integer", "minimum": -1})
    tensors = _array(_object(name=_TEXT, datatype=_TEXT, shape=shape))
    return _object(
        name={"const": model},
        versions=_array(_TEXT),
        platform=_TEXT,
        inputs=tensors,
        outputs=tensors,
    )


def _infer(versions: Sequence[Version]) -> Schema:
    model = versions[0].model
    inputs = versions[0].signature.inputs
    # A canary may answer with other outputs.
    outputs = dict.fromkeys(spec for version in versions for spec in version.signature.outputs)
    asked_outputs = {
        "type": "array",
        "items": _object(
            ("parameters",),
            name={"enum": [*dict.fromkeys(spec.name for spec in outputs)]},
            parameters=_PARAMETERS,
        ),
    }
    request = _object(
        ("id", "parameters", "outputs"),
        id=_TEXT,
        parameters=_PARAMETERS,
        inputs=_asked_inputs(inputs),
        outputs=asked_outputs,
    )
    answer = _object(
        ("id",),
        model_name={"const": model},
        model_version={"enum": [version.version for version in versions]},
        outputs=_array({"anyOf": [_answered(spec) for spec in outputs]}),
        id=_TEXT,
    )
    in_json: Schema = {"schema": request}
    example = _example(inputs)
    if example is not None:
        in_json["example"] = example
    header = {"name": HEADER_LENGTH, "in": "header", "schema": _COUNT}
    return {
        "summary": f"What {model} answers",
        "parameters": [{"name": _REQUEST_ID, "in": "header", "schema": _TEXT}, header],
        "requestBody": {
            "description": f"JSON, or JSON of {HEADER_LENGTH} bytes and the tensors behind it",
            "required": True,
            "content": {_JSON: in_json, _BINARY: {}},
        },
        "responses": {
            "200": {
                "description": "The outputs, in JSON or as bytes behind it",
                "headers": {**_ID_HEADER, HEADER_LENGTH: {"schema": _COUNT}},
                "content": {_JSON: {"schema": answer}, _BINARY: {}},
            },
            **_refused(_OF_INFER),
        },
    }


def _asked_inputs(specs: Sequence[TensorSpec]) -> Schema:
    tensors = [_asked(spec) for spec in specs]
    inputs = {**_array({"anyOf": tensors}), "minItems": len(specs), "maxItems": len(specs)}
    # In any order, and each of them once.
    if len(specs) > 1:
        inputs["allOf"] = [
            {"contains": {"properties": {"name": {"const": spec.name}}}} for spec in specs
        ]
    return inputs


def _asked(spec: TensorSpec) -> Schema:
    """An input in JSON; that its data are as many as its shape takes no schema can say."""
    value = _value(spec.datatype)
    forms = [_array(value)]
    if len(spec.shape) != 1:
        nested = value
        for size in reversed(spec.shape):
            nested = _array(nested)
            if size >= 0:
                nested |= {"minItems": size, "maxItems": size}
        forms.append(nested)
    sizes = [_COUNT if size < 0 else {"const": size} for size in spec.shape]
    # An empty list is none of schemas.
    shape: Schema = {"prefixItems": sizes} if sizes else {}
    return _object(
        ("parameters",), **_tensor(spec, shape), data={"anyOf": forms}, parameters=_PARAMETERS
    )


def _answered(spec: TensorSpec) -> Schema:
    value = _value(spec.datatype)
    # JSON has no NaN.
    if spec.datatype.startswith("FP"):
        value = {"type": ["number", "null"]}
    in_bytes = _object(binary_data_size=_COUNT)
    shape = {"items": _COUNT}
    return _object(
        ("data", "parameters"), **_tensor(spec, shape), data=_array(value), parameters=in_bytes
    )


def _tensor(spec: TensorSpec, shape: Schema) -> dict[str, Schema]:
    of_rank = {**shape, "type": "array", "minItems": len(spec.shape), "maxItems": len(spec.shape)}
    return {"name": {"const": spec.name}, "datatype": {"const": spec.datatype}, "shape": of_rank}


def _value(datatype: str) -> Schema:
    if datatype == BYTES:
        return _TEXT
    if datatype == "BOOL":
        return _YES_OR_NO
    smallest, largest = bounds_of(datatype)
    kind = "number" if datatype.startswith("FP") else "integer"
    return {"type": kind, "minimum": smallest, "maximum": largest}


def _example(specs: Sequence[TensorSpec]) -> Schema | None:
    """A request with one row; None where it would be long."""
    inputs = []
    for spec in specs:
        shape = [1 if size < 0 else size for size in spec.shape]
        count = math.prod(shape)
        if count > _LARGEST_EXAMPLE:
            return None
        value = {BYTES: "a", "BOOL": True}.get(spec.datatype, 1)
        inputs.append(
            {
                "name": spec.name,
                "shape": shape,
                "datatype": spec.datatype,
                "data": [value] * count,
            }
        )
    return {"inputs": inputs}


def _readiness(summary: str, **properties: Schema) -> Schema:
    schema = _object(**properties, ready=_YES_OR_NO)
    item = _get(summary, schema, (401, 404) if properties else ())
    # Where too many ask, it says that instead.
    unready = {"anyOf": [schema, _ERROR]}
    item["get"]["responses"]["503"] = {
        "description": "It is not",
        "content": {_JSON: {"schema": unready}},
    }
    return item


def _get(
    summary: str, schema: Schema, refusals: Sequence[int] = (), media_type: str = _JSON
) -> Schema:
    answer = {"description": summary, "content": {media_type: {"schema": schema}}}
    return {"get": {"summary": summary, "responses": {"200": answer, **_refused(refusals)}}}


def _refused(statuses: Sequence[int]) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _refusal(text: str) -> Schema:
    return {
        "description": text,
        "headers": _ID_HEADER,
        "content": {_JSON: {"schema": _ERROR}},
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(optional: Sequence[str] = (), /, **properties: Schema) -> Schema:
    """An object with these properties, and perhaps others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}
