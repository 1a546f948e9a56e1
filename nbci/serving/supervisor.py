"""Several processes that serve on one socket: start them, replace those that die, end them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import InfrastructureError, IntegrityError
from nbci.kernels.private import private_folder
from nbci.records.codec import plain
from nbci.serving.measures import MULTIPROCESS_FOLDER

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from nbci.kernels.private import PrivateFolder
    from nbci.serving.loading import ModelFile
    from nbci.serving.worker import ServerSettings

_COUNTS = "nbci-serve-"
_DEATHS = 5
_DEATHS_WITHIN_SECONDS = 10.0
_START_SECONDS = 60.0
_LONGEST_LINE = 2**20


class Supervisor:
    """Keeps so many processes serving; `log` is called with what becomes of them."""

    def __init__(
        self,
        settings: ServerSettings,
        token: str | None,
        workers: int,
        log: Callable[..., None],
    ) -> None:
        self._settings = settings
        self._token = token
        self._workers = workers
        self._log = log
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._answers: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._ready: set[int] = set()
        # Answers come in the order of the orders: a second one waits for the first.
        self._ordering = asyncio.Lock()
        self._deaths: list[float] = []
        self._is_ending = False
        self._counts: PrivateFolder | None = None

    async def serve(self, listening: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until this process is told to end; `ready` is called once all of them answer.

        IntegrityError where the first ones cannot start, InfrastructureError where later ones die
        again and again.
        """
        loop = asyncio.get_running_loop()

        def end() -> None:
            # Who connects from now on is to hear that nobody answers, not to wait.
            listening.close()
            self._end()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        # A server that was killed removes nothing: the next one finds its folder.
        self._counts = private_folder(_COUNTS)
        slots = [self._keep(listening) for _ in range(self._workers)]
        tasks = [asyncio.create_task(slot) for slot in slots]
        try:
            await self._wait_for_start(tasks)
            if not self._ends():
                ready()
            await asyncio.gather(*tasks)
        finally:
            self._end()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._counts.remove()

    async def switch(self, models: Sequence[ModelFile]) -> None:
        """Have all processes serve other versions; IntegrityError where one cannot, and none do."""
        before = [*self._settings.models]
        await self._order_all({"switch": plain([*models])}, {"switch": plain(before)})
        self._settings = replace(self._settings, models=tuple(models))

    async def try_candidate(self, file: ModelFile | None) -> None:
        """Have all processes try this, or nothing, beside what they serve; errors as `switch`."""
        before = self._settings.candidate
        await self._order_all({"candidate": plain(file)}, {"candidate": plain(before)})
        self._settings = replace(self._settings, candidate=file)

    async def _order_all(self, order: dict[str, Any], back: dict[str, Any]) -> None:
        """Have all processes carry out an order, and take it back where one of them cannot."""
        async with self._ordering:
            await self._order_each(order, back)

    async def _order_each(self, order: dict[str, Any], back: dict[str, Any]) -> None:
        done: list[int] = []
        # One after another: others answer while one loads. One that dies meanwhile is replaced by
        # one that begins with the settings of before, and is told in the next round.
        while left := [pid for pid in self._processes if pid not in done]:
            for pid in left:
                answer = await self._order(pid, order)
                done.append(pid)
                if answer.get("switched", True):
                    continue
                for told in done[:-1]:
                    await self._order(told, back)
                raise IntegrityError(str(answer["error"]))

    async def _order(self, pid: int, order: dict[str, Any]) -> dict[str, Any]:
        """What a process answers to an order; nothing where it has ended."""
        process = self._processes.get(pid)
        if process is None:
            return {}
        assert process.stdin is not None
        answers = self._answers[pid]
        process.stdin.write((json.dumps(order) + "\n").encode())
        return await answers.get()

    async def _wait_for_start(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while len(self._ready) < self._workers and not self._ends():
            failed = [task for task in tasks if task.done()]
            for task in failed:
                task.result()
            if time.monotonic() > deadline:
                raise InfrastructureError(f"the server did not start within {_START_SECONDS:g} s")
            await asyncio.sleep(0.01)

    async def _keep(self, listening: socket.socket) -> None:
        """Keep one process serving until the end."""
        while not self._is_ending:
            process = await self._start(listening)
            answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            self._processes[process.pid] = process
            self._answers[process.pid] = answers
            # It was not among those that were told.
            if self._ends():
                self._end()
            is_ready = await self._read_answers(process, answers)
            code = await process.wait()
            self._forget(process.pid)
            if self._ends():
                return
            # What fails at the start of the first fails for all: there is nothing to try again.
            if not is_ready and not self._deaths:
                raise InfrastructureError(f"a process that serves ended at its start, with {code}")
            self._note_death(code)

    async def _start(self, listening: socket.socket) -> asyncio.subprocess.Process:
        assert self._counts is not None
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nbci.serving.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Whoever counts there holds the folder: it may live on for a while after a kill of this
            # process.
            pass_fds=(listening.fileno(), self._counts.lock),
            env={**os.environ, MULTIPROCESS_FOLDER: str(self._counts.path)},
            limit=_LONGEST_LINE,
            # Ctrl-C in a terminal reaches this process, which ends them in order.
            start_new_session=True,
        )
        first = {
            "settings": plain(self._settings),
            "token": self._token,
            "socket": listening.fileno(),
        }
        assert process.stdin is not None
        process.stdin.write((json.dumps(first) + "\n").encode())
        return process

    async def _read_answers(
        self, process: asyncio.subprocess.Process, answers: asyncio.Queue[dict[str, Any]]
    ) -> bool:
        """Hand on what the process says, until it ends; whether it was ready to serve."""
        is_ready = False
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = json.loads(line)
            if answer.get("ready"):
                is_ready = True
                self._ready.add(process.pid)
                self._log("worker ready", pid=process.pid)
            else:
                answers.put_nowait(answer)
        # Who waits for an answer of it need not wait any more: the next one starts as it is to be.
        answers.put_nowait({})
        return is_ready

    def _note_death(self, code: int) -> None:
        self._log("worker died", code=code)
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _DEATHS_WITHIN_SECONDS]
        self._deaths.append(now)
        # Whoever watches this process can do more: another machine, a call to somebody.
        if len(self._deaths) >= _DEATHS:
            self._end()
            raise InfrastructureError(
                f"processes that serve died {_DEATHS} times within {_DEATHS_WITHIN_SECONDS:g} s, "
                f"the last one with {code}"
            )

    def _forget(self, pid: int) -> None:
        from prometheus_client import multiprocess

        self._processes.pop(pid, None)
        self._answers.pop(pid, None)
        self._ready.discard(pid)
        # What it counted stays; what it said of its state does not.
        assert self._counts is not None
        multiprocess.mark_process_dead(pid, str(self._counts.path))  # type: ignore[no-untyped-call]

    def _ends(self) -> bool:
        """Whether this process is to end; signals change it while others are waited for."""
        return self._is_ending

    def _end(self) -> None:
        self._is_ending = True
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
