"""Serve a released model until the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.app.serving.follow import Followed, Follower
from nbci.app.serving.released import bring, bring_from
from nbci.errors import InfrastructureError, UsageError
from nbci.registry.grammar import parse_reference
from nbci.serving.batches import BatchSettings
from nbci.serving.routes import Limits
from nbci.serving.supervisor import Supervisor
from nbci.serving.worker import BACKLOG, ServerSettings, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.app.serving.released import Released
    from nbci.serving.loading import ModelFile
    from nbci.serving.request_log import LogSettings

TOKEN = "NBCI_SERVE_TOKEN"  # noqa: S105 - the name of a variable, no token


class ServeRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci serve`; `follow_seconds` is None where the first version stays.

    `release` is the folder that the release lies in, with its evidence, where it comes from no
    repository; the server looks into it again on SIGHUP.
    `is_open`: other machines may ask without a token. `candidate` is tried beside the release, as
    in `ServerSettings`.
    """

    reference: str
    url: str | None = None
    release: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 1
    is_open: bool = False
    follow_seconds: float | None = None
    logs_requests: bool = False
    drain_seconds: float = 30.0
    candidate: str | None = None
    candidate_share: float = 0.0
    request_log: LogSettings | None = None
    batches: BatchSettings = field(default_factory=BatchSettings)
    limits: Limits = field(default_factory=Limits)


def serve(request: ServeRequest, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the first line once it answers.

    SIGHUP looks at once whether another version is meant. UsageError where other machines could ask
    and no token is asked for; IntegrityError where the release is not what was promoted, or does
    not answer its sample.
    """
    token = os.environ.get(TOKEN) or None
    _refuse_open(request, token)
    reference = parse_reference(request.reference)
    folder = Path.cwd()
    if request.release is not None:
        released = bring_from(request.release, reference)
    else:
        released = bring(reference, url=request.url, folder=folder, environ=os.environ)
    candidate = _candidate(request, released)
    settings = ServerSettings(
        models=released.files,
        batches=request.batches,
        limits=request.limits,
        threads=request.threads,
        drain_seconds=request.drain_seconds,
        logs_requests=request.logs_requests,
        request_log=request.request_log,
        candidate=candidate.file,
        candidate_share=request.candidate_share,
    )
    _allow_many_files()
    with listen(request.host, request.port) as listening:
        host, port = listening.getsockname()[:2]
        if ":" in host:
            host = f"[{host}]"
        line = f"serving {reference.model}@{released.manifest.version} at http://{host}:{port}"
        worker = Worker(settings, token, sys.stderr)
        server: Worker | Supervisor = worker
        if request.workers > 1:
            server = Supervisor(settings, token, request.workers, worker.log)
        else:
            worker.put_first()
        if candidate.trouble:
            worker.log("no candidate", reason=candidate.trouble)
        followers = _followers(request, released, candidate, server, worker.log)
        asyncio.run(_serve(server, listening, lambda: ready(line), followers))


def _followers(
    request: ServeRequest,
    released: Released,
    candidate: _Candidate,
    server: Worker | Supervisor,
    log: Callable[..., None],
) -> list[Follower]:
    """What looks for other versions of what is served, and of the candidate."""
    if request.follow_seconds is None and request.release is None:
        return []
    served = Followed(
        name=request.reference,
        reference=parse_reference(request.reference),
        url=request.url,
        folder=Path.cwd(),
        seconds=request.follow_seconds,
        release=request.release,
    )
    followers = [Follower(served, released.commit, server.switch, log)]
    if request.candidate is not None:
        tried = replace(
            served,
            release=None,
            name=request.candidate,
            reference=parse_reference(request.candidate),
            may_be_empty=True,
        )

        async def try_candidate(files: Sequence[ModelFile]) -> None:
            await server.try_candidate(_only_file(request, files) if files else None)

        followers.append(Follower(tried, candidate.commit, try_candidate, log))
    return followers


async def _serve(
    server: Worker | Supervisor,
    listening: socket.socket,
    ready: Callable[[], None],
    followers: list[Follower],
) -> None:
    def look_now() -> None:
        for follower in followers:
            follower.look_now.set()

    if followers:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, look_now)
    following = [asyncio.create_task(follower.follow()) for follower in followers]
    try:
        await server.serve(listening, ready)
    finally:
        for task in following:
            task.cancel()


class _Candidate(Struct, frozen=True, kw_only=True):
    """The release that is tried at first; none where nobody asks for one, or because of a trouble.

    It may come later where it is followed.
    """

    file: ModelFile | None = None
    commit: str | None = None
    trouble: str = ""


def _candidate(request: ServeRequest, released: Released) -> _Candidate:
    if request.candidate is None:
        return _Candidate()
    reference = parse_reference(request.candidate)
    if reference.model != parse_reference(request.reference).model:
        raise UsageError(f"{request.candidate} is another model than {request.reference}")
    # The served one first: no candidate that comes later would fit either.
    _only_file(request, released.files)
    try:
        found = bring(reference, url=request.url, folder=Path.cwd(), environ=os.environ)
    except UsageError as error:
        if request.follow_seconds is None:
            raise
        return _Candidate(trouble=str(error))
    return _Candidate(file=_only_file(request, found.files), commit=found.commit)


def _only_file(request: ServeRequest, files: Sequence[ModelFile]) -> ModelFile:
    if len(files) != 1:
        raise UsageError(
            f"{request.candidate} cannot be tried beside {request.reference}: "
            "only releases of one ONNX file are compared"
        )
    return files[0]


def _refuse_open(request: ServeRequest, token: str | None) -> None:
    """UsageError where other machines could ask, and nothing says that they may."""
    if token is not None or request.is_open or _is_loopback(request.host):
        return
    raise UsageError(
        f"other machines could ask at {request.host}, and there is no token",
        hint=f"set {TOKEN}, which clients then send as `Authorization: Bearer ...`; "
        "--open lets everybody ask",
    )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def listen(host: str, port: int) -> socket.socket:
    """A socket at the address; port 0 is a free one. InfrastructureError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only of sockets that name their protocol does asyncio set TCP_NODELAY. Without it, an answer's
    # body waits for the client to acknowledge its head: 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A server that is started again takes the port of the one before.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise InfrastructureError(
            f"the address {host}:{port} cannot be served at: {error.strerror}",
            hint="--port 0 takes a port that is free",
        ) from error
    listening.setblocking(False)
    listening.set_inheritable(True)
    return listening


def _allow_many_files() -> None:
    """Let this process have as many connections as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Each connection is a file; what is not allowed stays as it is.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
