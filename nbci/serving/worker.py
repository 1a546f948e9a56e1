"""One process that serves: its event loop, its models, and the orders that it takes.

Run by its supervisor as `python -m nbci.serving.worker`, with the settings on standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import secrets
import signal
import socket
import sys
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import uvicorn
from msgspec import Struct, field

from nbci.serving.batches import Batcher, BatchSettings
from nbci.serving.connections import (
    ACCEPTED_AT_ONCE,
    MOST_CONNECTIONS,
    Connections,
    PatientProtocol,
    connection_limit,
)
from nbci.serving.loading import Loading, ModelFile, load
from nbci.serving.measures import Measures
from nbci.serving.observing import Observing
from nbci.serving.request_log import LogSettings, RequestLog
from nbci.serving.routes import Limits, Routes
from nbci.serving.served import Candidate, Served, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.serving.loading import Loaded

BACKLOG = 2048
"""How many connections may wait until they are accepted."""
_KEEP_ALIVE_SECONDS = 30
_COLLECTED_AT = 20_000
"""How many more objects there are before the collector looks for cycles; 700 is Python's."""


class ServerSettings(Struct, frozen=True, kw_only=True):
    """How one process serves.

    `threads` are those of one answer, `drain_seconds` is the grace at the end; `logs_requests`:
    each request is a line of the log. Where more than `connections` wait for answers, requests are
    refused. The `candidate` answers a share of the requests, or with 0 is asked them as well.
    """

    models: tuple[ModelFile, ...]
    batches: BatchSettings = field(default_factory=BatchSettings)
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    drain_seconds: float = 30.0
    connections: int = MOST_CONNECTIONS
    logs_requests: bool = False
    request_log: LogSettings | None = None
    candidate: ModelFile | None = None
    candidate_share: float = 0.0


class Worker:
    """Serves models on a socket until it is told to end."""

    def __init__(self, settings: ServerSettings, token: str | None, log: TextIO) -> None:
        self._settings = settings
        self._log_file = log
        self._served = Served()
        self._measures = Measures()
        self._request_log = None
        if settings.request_log is not None:
            # Values of different servers are not to be compared by their hashes.
            key = (token or secrets.token_hex(16)).encode()[:64]
            self._request_log = RequestLog(
                settings.request_log, key, self.log, self._measures.dropped
            )
        observing = Observing(
            self._served,
            self._measures,
            self.log,
            self._request_log,
            writes_lines=settings.logs_requests,
        )
        limit = connection_limit(settings.connections)
        if limit < settings.connections:
            self.log("notice", text=f"the limit on open files leaves {limit} connections")
        self._connections = Connections(limit, settings.limits.head_seconds, self._measures.closed)
        self._routes = Routes(self._served, self._measures, settings.limits, token, observing)
        self._server: uvicorn.Server | None = None
        self._candidate: str | None = None

    def load(self, files: Sequence[ModelFile]) -> list[Loaded]:
        """The models, each of which has answered its sample."""
        return [self._load(file) for file in files]

    def _load(self, file: ModelFile) -> Loaded:
        settings = self._settings
        loading = Loading(threads=settings.threads, seconds=settings.limits.seconds)
        return load(file, loading, self.log)

    def put(self, models: Sequence[Loaded]) -> None:
        """Serve these from now on; requests that have begun end with the ones before."""
        for loaded in models:
            file = loaded.file
            for notice in loaded.notices:
                self.log("notice", text=notice)
            # Asked before it is replaced.
            before = self._served.find(file.model)
            self._served.put(self._version(loaded))
            self._measures.serves(
                file.model, file.version, before=before.version if before else None
            )
            self.log("serving", model=file.model, version=file.version)
            self._log_left(self._served.drop_unlike(file.model), "takes other inputs")
        # A release may have fewer files than the one before.
        for version in self._served.drop_others([loaded.file.model for loaded in models]):
            self._measures.left(version.model, version.version)
            self._log_left(self._served.drop_unlike(version.model), "its model is not served")

    def _log_left(self, candidate: Candidate | None, reason: str) -> None:
        if candidate is not None:
            version = candidate.version
            self.log("candidate left", model=version.model, version=version.version, reason=reason)

    def put_first(self) -> None:
        """Load and serve the models of the settings, with the candidate, where there is one."""
        self.put(self.load(self._settings.models))
        if self._settings.candidate is not None:
            self._put_candidate(self._load(self._settings.candidate))

    def _put_candidate(self, loaded: Loaded) -> None:
        file = loaded.file
        share = self._settings.candidate_share
        self._candidate = file.model
        self._served.put_candidate(Candidate(version=self._version(loaded), share=share))
        self.log("candidate", model=file.model, version=file.version, share=share)

    def _version(self, loaded: Loaded) -> Version:
        file = loaded.file

        def observe(requests: int, rows: int) -> None:
            self._measures.batch(file.model, file.version, requests, rows)

        return Version(
            model=file.model,
            version=file.version,
            platform=loaded.model.platform,
            signature=loaded.model.signature,
            batcher=Batcher(
                loaded.model,
                self._settings.batches,
                observe,
                joins_rows=loaded.joins_rows,
            ),
        )

    async def serve(self, listening: socket.socket, ready: Callable[[], None]) -> None:
        """Answer requests until the process is told to end; `ready` is called once it answers."""
        config = uvicorn.Config(
            self._routes.application(),
            http=partial(PatientProtocol, self._connections),  # type: ignore[arg-type]  # it is called
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            # Of more at once, all files could be open before one is closed for them.
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(self._settings.drain_seconds),
        )
        # uvicorn's lines, too, are to be read by whoever reads the log.
        logging.getLogger().addHandler(_LogLines(self.log))
        server = self._server = _Server(config, ready)
        loop = asyncio.get_running_loop()
        # A terminal's Ctrl-C ends it as a service manager does.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        await server.serve(sockets=[listening])
        self._served.close()
        if self._request_log is not None:
            self._request_log.close()

    def end(self) -> None:
        """Take no further requests; those that have begun are answered."""
        # First: who asks whether it is ready sends nobody here any more.
        self._served.is_ending = True
        self.log("ending")
        if self._server is not None:
            self._server.should_exit = True

    async def switch(self, files: Sequence[ModelFile]) -> None:
        """Serve other versions, once they are loaded and have answered their samples."""
        loop = asyncio.get_running_loop()
        # In a thread: loading takes a while, in which requests are answered.
        models = await loop.run_in_executor(None, self.load, files)
        self.put(models)
        await self._forget_left()

    async def try_candidate(self, file: ModelFile | None) -> None:
        """Try this beside what is served in the place of the candidate before, or nothing."""
        loop = asyncio.get_running_loop()
        if file is not None:
            self._put_candidate(await loop.run_in_executor(None, self._load, file))
        elif self._candidate is not None:
            self._log_left(self._served.drop_candidate(self._candidate), "its stage is empty")
        await self._forget_left()

    async def _forget_left(self) -> None:
        """Forget versions that were left, once they answer nobody any more."""
        await self._served.drain()
        # Each switch would leave a model's size with the allocator: after 20 switches between
        # models of 40 MB, a process of 235 MB had 600 MB.
        await asyncio.to_thread(_trim_memory)

    def log(self, event: str, **fields: Any) -> None:
        """Write a line of the log: JSON, with the time in seconds since 1970."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **fields})
        # Where nobody reads the log, the server goes on.
        with contextlib.suppress(OSError, ValueError):
            self._log_file.write(f"{line}\n")
            self._log_file.flush()


class _LogLines(logging.Handler):
    """Writes what libraries log as lines of the server's log.

    Of an exception its type and its place: its text may hold data.
    """

    def __init__(self, log: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"level": record.levelname.lower(), "by": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
            fields["at"] = "".join(traceback.format_tb(record.exc_info[2]))
        self._log("library", **fields)


def _trim_memory() -> None:
    """Give memory that is free back to the system, where the C library can."""
    # glibc on Linux has it; musl and macOS have not.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class _Server(uvicorn.Server):
    """A server that says when it answers, and whose process handles signals itself."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is not accepted yet has another limit, which asyncio has set to the same number.
        for listening in sockets or ():
            listening.listen(BACKLOG)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def main() -> int:
    """Serve with the settings of the first line of standard input; orders are the next lines."""
    import msgspec

    first = json.loads(sys.stdin.readline())
    settings = msgspec.convert(first["settings"], ServerSettings)
    worker = Worker(settings, first["token"], sys.stderr)
    worker.put_first()
    # What is loaded stays: with requests that wait for the log, the collector would go through all
    # of it again and again, which took more than writing the log.
    gc.freeze()
    gc.set_threshold(_COLLECTED_AT)
    asyncio.run(_serve(worker, socket.socket(fileno=first["socket"])))
    return 0


async def _serve(worker: Worker, listening: socket.socket) -> None:
    orders = asyncio.create_task(_follow_orders(worker))
    await worker.serve(listening, lambda: _tell({"ready": True}))
    orders.cancel()


async def _follow_orders(worker: Worker) -> None:
    """Carry out what the supervisor says, a line an order; end when it has gone."""
    import msgspec

    reader = asyncio.StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        try:
            if "switch" in order:
                await worker.switch(msgspec.convert(order["switch"], tuple[ModelFile, ...]))
            else:
                await worker.try_candidate(msgspec.convert(order["candidate"], ModelFile | None))
        except Exception as error:  # noqa: BLE001 - it goes on with what it has, and says so
            _tell({"switched": False, "error": str(error)})
        else:
            _tell({"switched": True})
    # Nobody would end this process any more.
    worker.end()


def _tell(answer: dict[str, Any]) -> None:
    """Answer the supervisor, on standard output."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
