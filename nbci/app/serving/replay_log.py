"""Replay the requests of a log through two releases."""

from __future__ import annotations

import contextlib
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
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.serving.loading import Loaded, ModelFile

_RESULT = "replay.json"
_METRICS = "metrics.json"


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """Which log, which two releases of one model; `window`: the newest so many seconds.

    `file` is which file of a release that has several, as `encoder` or `digits.encoder`. `folder`
    is the checkout where the releases are looked up; `url`, another repository of them.
    """

    log: Path
    models: tuple[str, str]
    folder: Path
    file: str | None = None
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
    with contextlib.ExitStack() as kept:
        first = _load(request.models[0], request, kept)
        second = _load(request.models[1], request, kept)
        if first.file.model != second.file.model:
            raise UsageError(f"{request.models[1]} is another model than {request.models[0]}")
        check_alike(first, second)
        model = first.file.model
        # Another hour may begin meanwhile: what is sent is what was there now.
        window = read_window(request.log, model, newest=request.window)
        if not window.rows:
            where = Location(str(request.log))
            raise UsageError(f"the log has no requests to {model}", where=where)
        labels = read_labels(request.log, model)
        requests = logged_requests(window, first.model.signature, labels)
        found = replay(requests, (first, second), request.models, request.share)
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


def _load(reference: str, request: ReplayRequest, kept: contextlib.ExitStack) -> Loaded:
    released = bring(
        parse_reference(reference), url=request.url, folder=request.folder, environ=os.environ
    )
    # One thread, as a server answers.
    loaded = load(choose_file(reference, released.files, request.file), Loading())
    # A notebook's kernel is to end with this, also where nothing is replayed.
    kept.callback(loaded.model.close)
    return loaded


def choose_file(reference: str, files: Sequence[ModelFile], name: str | None) -> ModelFile:
    """The file of a release that is replayed; UsageError where it is not said which, or has none.

    Each is served under a name of its own, and has a log of its own.
    """
    if name is None and len(files) == 1:
        return files[0]
    for file in files:
        if name is not None and name in (file.model, file.part):
            return file
    names = ", ".join(file.part or file.model for file in files)
    if name is None:
        raise UsageError(
            f"{reference} has several ONNX files, each with a log of its own: {names}",
            hint="say which one is replayed: --file NAME",
        )
    raise UsageError(f"{reference} has no file {name}; it has {names}")
