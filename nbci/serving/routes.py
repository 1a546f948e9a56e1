"""The server's addresses: those of the Open Inference Protocol, and `/metrics`."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

import nbci
from nbci.serving.connections import HAS_ROOM, READER
from nbci.serving.openapi import describe
from nbci.serving.protocol import HEADER_LENGTH, read_request, write_answer
from nbci.serving.refusal import Refusal
from nbci.serving.signature import listed, short

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request

    from nbci.serving.measures import Measures
    from nbci.serving.served import Served, Version
    from nbci.serving.signature import Arrays, TensorSpec

REQUEST_ID = "x-request-id"
"""The header with which a request is known: the client's own, or one that is made for it."""
_LONGEST_ID = 128
_JSON = "application/json"
_BODIES = ("", _JSON, "application/octet-stream", "application/vnd.kserve.v2+json")
_PUBLIC = ("/v2/health/live", "/v2/health/ready")
"""Whoever starts and watches servers asks these, and has no token."""


class Limits(Struct, frozen=True, kw_only=True):
    """`body_bytes` a request may have, `seconds` it may take.

    Its head has to come within `head_seconds`, its body within `body_seconds`.
    """

    body_bytes: int = 64 * 2**20
    seconds: float = 30.0
    body_seconds: float = 10.0
    head_seconds: float = 10.0


class Observer(Protocol):
    """Hears of requests beside their answers; it must not keep them waiting."""

    def request(self, version: Version, request_id: str, status: int, seconds: float) -> None:
        """Hear that a request has its answer, or was refused."""

    def answered(
        self,
        version: Version,
        request_id: str,
        seconds: float,
        inputs: Arrays,
        answers: Mapping[str, Any],
    ) -> None:
        """Hear what was asked and answered, and the seconds that it took."""


class Routes:
    """Answers requests; `observer` hears of each, and of its answer."""

    def __init__(
        self,
        served: Served,
        measures: Measures,
        limits: Limits,
        token: str | None,
        observer: Observer,
    ) -> None:
        self._served = served
        self._measures = measures
        self._limits = limits
        self._token = token
        self._observer = observer

    def application(self) -> Starlette:
        """The application that a server of ASGI runs."""
        return Starlette(
            routes=[
                Route("/v2", self._describe_server),
                Route("/v2/health/live", self._live),
                Route("/v2/health/ready", self._ready),
                Route("/v2/models/{rest:path}", self._describe_model),
                Route("/v2/models/{rest:path}", self._infer, methods=["POST"]),
                Route("/metrics", self._metrics),
                Route("/openapi.json", self._describe_itself),
            ],
            exception_handlers={Refusal: _refused, HTTPException: _failed, Exception: _broken},
        )

    async def _describe_server(self, request: Request) -> Response:
        self._admit(request)
        return _json(
            {"name": "nbci", "version": nbci.__version__, "extensions": ["binary_tensor_data"]}
        )

    async def _live(self, _: Request) -> Response:
        return _json({"live": True})

    async def _ready(self, _: Request) -> Response:
        is_ready = self._served.is_ready
        return _json({"ready": is_ready}, status=200 if is_ready else 503)

    async def _metrics(self, request: Request) -> Response:
        # Answered however many others ask: whoever looks into it wants to know why they wait.
        self._check_token(request)
        return Response(
            self._measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def _describe_itself(self, request: Request) -> Response:
        self._admit(request)
        models = [self._served.answering(name) for name in self._served.names]
        return _json(describe(models, asks_token=self._token is not None))

    async def _describe_model(self, request: Request) -> Response:
        self._admit(request)
        name, version, action = _parts(request.path_params["rest"])
        found = self._find(name, version)
        # A model that is found here has answered its sample; its kernel may have died since.
        if action == "ready":
            is_ready = found.batcher.is_ready and not self._served.is_ending
            return _json({"name": found.model, "ready": is_ready}, status=200 if is_ready else 503)
        if action is not None:
            raise Refusal(405, f"{action} is asked with POST")
        return _json(
            {
                "name": found.model,
                "versions": [found.version],
                "platform": found.platform,
                "inputs": _described(found.signature.inputs),
                "outputs": _described(found.signature.outputs),
            }
        )

    async def _infer(self, request: Request) -> Response:
        self._admit(request)
        name, version, action = _parts(request.path_params["rest"])
        found = self._find(name, version)
        if action != "infer":
            raise Refusal(405, "only infer is asked with POST")
        request_id = _request_id(request)
        # A version that was named is the one that answers.
        if version is None:
            found = self._served.choose(found, request_id)
        began = time.perf_counter()
        status = 500
        # From here on this version is kept, whatever is switched to meanwhile.
        found.begin()
        try:
            response = await self._answer(request, found, request_id, began)
            status = response.status_code
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            found.end()
            seconds = time.perf_counter() - began
            self._measures.request(found.model, found.version, status, seconds)
            self._observer.request(found, request_id, status, seconds)
        response.headers[REQUEST_ID] = request_id
        return response

    async def _answer(
        self, request: Request, found: Version, request_id: str, began: float
    ) -> Response:
        body = await self._read_body(request)
        asked = read_request(body, request.headers.get(HEADER_LENGTH), found.signature)
        try:
            async with asyncio.timeout(self._limits.seconds):
                answers = await found.batcher.answer(asked.inputs, [*asked.outputs])
        except TimeoutError as error:
            raise Refusal(503, f"there was no answer within {self._limits.seconds:g} s") from error
        text, length = write_answer(found.model, found.version, asked, answers, found.signature)
        seconds = time.perf_counter() - began
        self._observer.answered(found, request_id, seconds, asked.inputs, answers)
        if length is None:
            return Response(text, media_type=_JSON)
        return Response(
            text, media_type="application/octet-stream", headers={HEADER_LENGTH: str(length)}
        )

    async def _read_body(self, request: Request) -> bytes | memoryview:
        """The whole body; Refusal where it is none that is read here, too large, or too slow."""
        # Without one, a body of curl is taken for what it most likely is.
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _BODIES:
            raise Refusal(415, f"the body is {short(kind)}, and is to be {_JSON}")
        # A small body that unpacks to gigabytes would pass the limit.
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "the body is compressed; send it as it is")
        largest = self._limits.body_bytes
        declared = request.headers.get("content-length", "0")
        # Before the first byte is read, where the client says how many come.
        if not declared.isdecimal() or int(declared) > largest:
            raise _too_large(largest)
        # Whole or not at all: a client that sends a byte a second holds no more than a connection.
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await _whole_body(request, largest)
        # Nobody hears of it: it is counted, and no failure of the server.
        except ClientDisconnect as error:
            raise Refusal(499, "the client has gone before its body was whole") from error
        except TimeoutError as error:
            raise Refusal(
                408, f"the body did not come within {self._limits.body_seconds:g} s"
            ) from error

    def _find(self, name: str, version: str | None) -> Version:
        found = self._served.find(name, version)
        if found is not None:
            return found
        # Two mistakes with two remedies: another version, another name.
        current = self._served.find(name)
        if current is not None:
            raise Refusal(
                404,
                f"{short(name)} has the version {current.version} here, not {short(version or '')}",
            )
        raise Refusal(
            404, f"there is no model {short(name)} here; there is {listed(self._served.names)}"
        )

    def _admit(self, request: Request) -> None:
        if not request.scope["state"][HAS_ROOM]:
            self._measures.closed("asked")
            raise Refusal(503, "too many connections wait for answers", closes=True)
        self._check_token(request)

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        given = request.headers.get("authorization", "")
        # In constant time: how long it takes says nothing of the token.
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise Refusal(401, "this server asks for its token: Authorization: Bearer ...")


def _parts(rest: str) -> tuple[str, str | None, str | None]:
    """Model, version and action of `NAME[/versions/V][/ready|/infer]`; a name may have slashes."""
    action = None
    before, _, word = rest.rpartition("/")
    if before and word in ("infer", "ready"):
        rest, action = before, word
    # From the right: a name may hold the word.
    name, slash, version = rest.rpartition("/versions/")
    if slash:
        return name, version, action
    return rest, None, action


def _described(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [
        {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs
    ]


async def _whole_body(request: Request, largest: int) -> bytes | memoryview:
    # A body of megabytes, where the connection knows how long it is.
    read: Callable[[], Awaitable[memoryview]] | None = request.scope.get(READER)
    if read is not None:
        return await read()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise _too_large(largest)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(largest: int) -> Refusal:
    return Refusal(413, f"the body is larger than {largest} bytes")


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type=_JSON)


def _request_id(request: Request) -> str:
    """The id of a request, which stays what it was once it is asked for."""
    if not hasattr(request.state, "id"):
        given = request.headers.get(REQUEST_ID, "")[:_LONGEST_ID]
        request.state.id = given or secrets.token_hex(8)
    return str(request.state.id)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    response = _error(request, refusal.status, refusal.reason)
    if refusal.status == 503:
        response.headers["retry-after"] = "1"
    # What is left of a body that was not read would be taken for the next request.
    if refusal.closes or refusal.status in (401, 408, 413, 415):
        response.headers["connection"] = "close"
    return response


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, error.detail)


async def _broken(request: Request, _: Exception) -> Response:
    return _error(request, 500, "the server failed")


def _error(request: Request, status: int, reason: str) -> Response:
    response = _json({"error": reason}, status=status)
    # Whoever asks why has something to name, in his log as in that of the server.
    response.headers[REQUEST_ID] = _request_id(request)
    if status == 405:
        is_infer = request.scope["path"].endswith("/infer")
        response.headers["allow"] = "POST" if is_infer else "GET, HEAD"
    return response
