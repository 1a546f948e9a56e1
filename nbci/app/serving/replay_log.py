"""Replay the requests of a log through two releases."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nbci.app.serving.released import bring
from nbci.errors import Location, UsageError
from nbci.formatting.durations import utc_text
from nbci.logged.labels import read_labels
from nbci.logged.window import LogWindow, read_window
from nbci.registry.grammar import parse_reference
from nbci.serving.loading import Loading, load
from nbci.serving.logged_requests import logged_requests
from nbci.serving.replay import Replay, check_alike, metrics_of, replay
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.serving.loading import Loaded

_RESULT = "replay.json"
_METRICS = "metrics.json"


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """Which log, which two releases of one model; `window`: the newest so many seconds.

    `folder` is the checkout where the releases are looked up; `url`, another repository of them.
    """

    log: Path
    models: tuple[str, str]
    folder: Path
    url: str | None = None
    window: float | None = None
    share: float = 1.0


class ReplayedLog(Struct, frozen=True, kw_only=True):
    """What came of a replay, and of which rows of the log."""

    model: str
    window: LogWindow
    replay: Replay


def replay_log(request: ReplayRequest) -> ReplayedLog:
    """Send the requests through both releases.

    UsageError where the two take different inputs, or the log has no whole requests to them.
    """
    first, second = (_load(reference, request) for reference in request.models)
    if first.file.model != second.file.model:
        raise UsageError(f"{request.models[1]} is another model than {request.models[0]}")
    check_alike(first, second)
    model = first.file.model
    # Another hour may begin meanwhile: what is sent is what was there now.
    window = read_window(request.log, model, newest=request.window)
    if not window.rows:
        raise UsageError(f"the log has no requests to {model}", where=Location(str(request.log)))
    requests = logged_requests(window, first.model.signature, read_labels(request.log, model))
    try:
        found = replay(requests, (first, second), request.models, request.share)
    finally:
        # A notebook's kernel is to end with this.
        first.model.close()
        second.model.close()
    # Nothing compared is no agreement.
    if not found.requests:
        raise UsageError(
            f"none of {window.requests} requests can be sent again",
            where=Location(str(request.log)),
            hint=f"{found.left_out} are not among the share, {found.not_replayable} are not whole",
        )
    return ReplayedLog(model=model, window=window, replay=found)


def document_of(found: ReplayedLog) -> dict[str, Any]:
    """What came of it as JSON, with the numbers that rules may judge as `metrics`."""
    window = found.window
    times: dict[str, Any] = {}
    # Of a log with rows, both are known.
    if window.first is not None and window.last is not None:
        times = {"start_utc": utc_text(window.first), "end_utc": utc_text(window.last)}
    about = {"source": str(window.folder), "rows": window.rows, "requests": window.requests}
    document: dict[str, Any] = {
        "model": found.model,
        "window": {**about, **times, "digest": window.digest},
        "metrics": metrics_of(found.replay),
        # What labels and answers hold may be of any type.
        **msgspec.to_builtins(found.replay, enc_hook=str),
    }
    return document


def write_replay(folder: Path, found: ReplayedLog) -> None:
    """Write the result, and its numbers alone, as files of a step."""
    document = document_of(found)
    write_atomic(folder / _RESULT, json.dumps(document, indent=1) + "\n")
    write_atomic(folder / _METRICS, json.dumps(document["metrics"], indent=1) + "\n")


def _load(reference: str, request: ReplayRequest) -> Loaded:
    released = bring(
        parse_reference(reference), url=request.url, folder=request.folder, environ=os.environ
    )
    if len(released.files) != 1:
        raise UsageError(f"{reference} has several ONNX files; a release of one is replayed")
    # One thread, as a server answers.
    return load(released.files[0], Loading())
