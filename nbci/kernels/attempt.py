"""One attempt at a step: what happens in which order, and what is known of it at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from nbci.handoff.answers import Refusal
from nbci.kernels import explain
from nbci.kernels.document import executed_notebook, new_document, unrunnable
from nbci.kernels.job import JobOutcome, RandomUse
from nbci.kernels.journal import Journal
from nbci.kernels.outputs import CellOutputs, bearable
from nbci.kernels.process import KernelProcess, StartFailed
from nbci.kernels.python_kernel import KernelConfused, PythonKernel
from nbci.kernels.scraps import last_of_each_name
from nbci.light_imports import lean_import
from nbci.records.codec import plain
from nbci.records.run_record import Failure, Usage
from nbci.secrets import Mask, credentials, too_short

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from nbci.handoff.values import ValueRef
    from nbci.kernels.client import StepClient
    from nbci.kernels.job import KernelJob, Listener, ProgramCell
    from nbci.kernels.outputs import Stream
    from nbci.kernels.python_kernel import Facts
    from nbci.kernels.zygote.zygotes import Zygotes

Answer = TypeVar("Answer")

BEFORE_VALUES = ("parameters", "injected", "imports", "functions")
GRACE_SECONDS = 5.0
GRACE_OF_OTHERS_SECONDS = 1.0
GRACE_WHEN_STOPPED_SECONDS = 0.5
OBEY_SECONDS = 2.0
DRAIN_SECONDS = 2.0
QUIET_SECONDS = 0.1


class KernelDied(Exception):
    """The kernel's process ended while it was needed."""


class TimedOut(Exception):
    """A cell took too long, and was interrupted or killed."""


class Attempt:
    """State and course of one attempt; `work` may be cancelled anywhere, `outcome` holds whatever
    is known.
    """

    def __init__(
        self,
        job: KernelJob,
        listener: Listener,
        *,
        display_name: str,
        zygotes: Zygotes | None = None,
    ) -> None:
        self.job = job
        self.listener = listener
        secrets = job.secrets or {}
        self.mask = Mask((*secrets.values(), *credentials(job.env).values()))
        self.stopping: Failure | None = None
        self.failure: Failure | None = None
        self.document = new_document(job, display_name)
        self.executed = executed_notebook(self.document, job, self.mask)
        self.journal = Journal(job.journal_path, self.executed)
        self.outputs: list[CellOutputs] = []
        self.gives: tuple[ValueRef, ...] = ()
        self.facts: Facts | None = None
        self.version: str | None = None
        self.warnings = [
            f"the secret {name} is too short to be masked" for name in too_short(secrets.items())
        ]
        self.counts: dict[int, int | None] = {}
        self.current: ProgramCell | None = None
        self.process = KernelProcess(job, self.mask, self._log_said, zygotes)
        self._python: PythonKernel | None = None
        self._client: StepClient | None = None
        self._busy = False

    async def work(self) -> None:
        """Do everything but ending the kernel; a failure of the step ends up in `failure`."""
        try:
            await self._start()
            await self._course()
        except StartFailed as error:
            message = f"the kernel `{self.job.kernel_name}` did not start: {error}"
            self.failure = Failure(kind="kernel-start", message=message)
        except KernelConfused as error:
            message = "the kernel no longer answers nbci: the step's code changed it beyond use"
            self.failure = Failure(kind="exception", message=message, traceback=str(error))
        except KernelDied:
            self.failure = explain.failure_of_death(self.current, self.process.death(), "")

    async def _start(self) -> None:
        """Start the kernel; what is needed next is imported while it comes up."""
        starting = asyncio.ensure_future(self.process.start())
        try:
            await asyncio.sleep(0)
            lean_import("nbci.kernels.client")  # for its time

            await starting
        finally:
            starting.cancel()

    async def _course(self) -> None:
        await self._prepare()
        split = next(
            (n for n, cell in enumerate(self.job.cells) if cell.role not in BEFORE_VALUES),
            len(self.job.cells),
        )
        for index, cell in enumerate(self.job.cells):
            if index == split and not await self._load():
                return
            if self.stopping is not None or not await self._run_cell(cell, index):
                return
        if split == len(self.job.cells) and not await self._load():
            return
        self.current = None
        if await self._save():
            await self._finish()

    async def _prepare(self) -> None:
        import nbformat

        from nbci.kernels.client import StepClient

        if self.process.language_info:
            self.executed.notebook["metadata"]["language_info"] = self.mask.json(
                self.process.language_info
            )
        self.journal.open()
        document, process = nbformat.from_dict(self.document), self.process
        self._client = StepClient(document, process.manager, process.client, process.greetings)
        self._client.reset_execution_trackers()
        if self.job.language == "python":
            self._python = PythonKernel(self.job, self.process)
            self.version = await self._alive(self._python.install())

    async def _load(self) -> bool:
        if self._python is None or self.stopping is not None:
            return self.stopping is None
        return not self._refused(await self._alive(self._python.load()))

    async def _save(self) -> bool:
        if self._python is None or self.stopping is not None:
            return self.stopping is None
        answer = await self._alive(self._python.save())
        self.warnings += self._python.lost
        if isinstance(answer, Refusal):
            return not self._refused(answer)
        self.gives = answer
        return True

    async def _finish(self) -> None:
        if self._python is not None and self.stopping is None:
            self.facts = await self._alive(self._python.finish())
            await self._alive(self._ready_client().hear_all(self._python.asked))

    def _refused(self, refusal: Refusal | None) -> bool:
        if refusal is not None:
            text = self.mask.text
            kind, hint = refusal.kind, refusal.hint
            self.failure = Failure(
                kind=kind, message=text(refusal.message), hint=hint, error=refusal.error
            )
        return refusal is not None

    async def _run_cell(self, cell: ProgramCell, index: int) -> bool:
        """Run one cell and note what came of it; whether the next may run."""
        self.current = cell
        self.listener.cell_started(cell, index, len(self.job.cells))
        name = f"cell-{cell.number or index + 1:03d}-output"
        spill = self.job.spill_folder / name
        outputs = CellOutputs(
            self.mask, self.job.output_cap_bytes, spill, self.journal, self._said, index=index
        )
        self.outputs.append(outputs)
        started, clock = (
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            time.monotonic(),
        )
        self.journal.add({"do": "start", "cell": index, "started_utc": started})
        failure: Failure | None = None
        try:
            failure = await self._execute(cell, index, outputs)
            return failure is None
        except BaseException:
            failure = Failure(kind="kernel-died", message="the cell did not end")
            raise
        finally:
            self._note_run(cell, index, outputs, failed=failure is not None, clock=clock)
            if failure is not None and failure.kind != "kernel-died":
                self.failure = failure

    def _note_run(
        self, cell: ProgramCell, index: int, outputs: CellOutputs, *, failed: bool, clock: float
    ) -> None:
        outputs.finish()
        self.counts[self.executed.notebook["cells"][index]["execution_count"] or 0] = cell.number
        seconds = round(time.monotonic() - clock, 6)
        run = replace(
            self.executed.runs[index], result="failed" if failed else "passed", seconds=seconds
        )
        metadata = self.mask.json(self._client.nb.cells[index].metadata if self._client else {})
        self.journal.add({"do": "end", "run": plain(run), "metadata": metadata})
        self.listener.cell_ended(cell, run)

    async def _execute(self, cell: ProgramCell, index: int, outputs: CellOutputs) -> Failure | None:
        problem = unrunnable(cell.source)
        if problem is not None:
            line = explain.first_line(cell.source.split("\0")[0])
            return Failure(
                kind="exception", message=f"the cell {problem}", cell=cell.number, first_line=line
            )
        client = self._ready_client()
        try:
            running = client.run_cell(index, cell.number, outputs)
            reply = await self._within_time(running, cell, self.job.cell_timeout_seconds)
        except TimedOut as error:
            line = explain.first_line(cell.source)
            return Failure(kind="timeout", message=str(error), cell=cell.number, first_line=line)
        if reply is None or reply["status"] != "error" or client.allows_errors(index):
            return None
        shown = {**reply, "traceback": self._traceback(reply)}
        count = self.executed.notebook["cells"][index]["execution_count"]
        failure = explain.failure_of_error(cell, shown, count)
        return self._masked(replace(failure, hint=failure.hint or self._missing_module(failure)))

    def _missing_module(self, failure: Failure) -> str | None:
        spec = self.process.manager.kernel_spec
        if self.job.language != "python" or spec is None or not spec.argv:
            return None
        locked = self.job.interpreter is not None
        program = spec.argv[0]
        if program.startswith("python") and not os.path.isabs(program):
            program = sys.executable  # as jupyter_client has it
        return explain.missing_module_hint(failure, self.job.kernel_name, program, locked=locked)

    def _traceback(self, reply: Mapping[str, Any]) -> list[str]:
        shown = [output for output in self.executed.outputs if output["output_type"] == "error"]
        return list(shown[-1]["traceback"] if shown else reply.get("traceback") or ())

    async def _within_time(
        self, cell_run: Awaitable[Answer], cell: ProgramCell, seconds: float | None
    ) -> Answer:
        task = asyncio.ensure_future(cell_run)
        try:
            return await self._alive(task, seconds)
        except TimeoutError:
            message = (
                f"cell {cell.number or 'of the parameters'} took longer than {seconds:g} seconds"
            )
            await self.process.interrupt()
            with contextlib.suppress(Exception):
                await self._alive(task, OBEY_SECONDS)
            if not task.done():
                self.process.kill()
                await self._drain(task)
            raise TimedOut(message) from None
        finally:
            if not task.done():
                task.cancel()
            await asyncio.wait({task}, timeout=QUIET_SECONDS)
            if task.done() and not task.cancelled():
                task.exception()  # read, so that asyncio does not complain of an exception that nobody saw

    async def _alive(self, awaitable: Awaitable[Answer], seconds: float | None = None) -> Answer:
        """Wait for an answer of the kernel.

        Raises KernelDied when its process ends, TimeoutError after `seconds`.
        """
        task: asyncio.Future[Answer] = asyncio.ensure_future(awaitable)
        waited: set[asyncio.Future[Any]] = {task, self.process.died, self.journal.failed}
        self._busy = True
        try:
            done, _ = await asyncio.wait(
                waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if task in done:
                return task.result()
            if not done:
                raise TimeoutError
            if self.journal.failed.done():
                raise self.journal.failed.result()
            await self._drain(task)
            if task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
            raise KernelDied
        finally:
            self._busy = False
            if seconds is None and not task.done():
                task.cancel()

    async def _drain(self, task: asyncio.Future[Any]) -> None:
        """The kernel is dead: take in what it still said."""
        deadline = time.monotonic() + DRAIN_SECONDS
        seen = -1
        while not task.done() and time.monotonic() < deadline:
            now = self._client.messages_seen if self._client is not None else 0
            if now == seen:
                break
            seen = now
            await asyncio.wait({task}, timeout=QUIET_SECONDS)

    def _ready_client(self) -> StepClient:
        if self._client is None:
            raise StartFailed("the kernel was not started")
        return self._client

    def _masked(self, failure: Failure) -> Failure:
        text = self.mask.text
        return replace(
            failure,
            message=bearable(failure.message, self.mask),
            first_line=text(failure.first_line) if failure.first_line else None,
            traceback=bearable(failure.traceback, self.mask) if failure.traceback else None,
            log=text(failure.log) if failure.log else None,
        )

    def _said(self, text: str, stream: Stream) -> None:
        self.listener.text_printed(self.current, text, stream)

    def _log_said(self, text: str) -> None:
        self.listener.text_printed(None, text, "stderr")

    async def interrupt(self) -> None:
        """Interrupt the kernel if it is doing something for this attempt."""
        if self._busy:
            await self.process.interrupt()
        else:
            self.process.kill()

    def kill(self) -> None:
        """Kill the kernel at once."""
        self.process.kill()

    async def close(self) -> None:
        """End the kernel and everything that it started."""
        timed_out = self.failure is not None and self.failure.kind == "timeout"
        waited = self.facts is not None and self.facts.has_unended_threads
        stopped = self.stopping is not None or timed_out or self.journal.failed.done()
        grace = GRACE_SECONDS if self.job.language == "python" else GRACE_OF_OTHERS_SECONDS
        try:
            await self.process.end(GRACE_WHEN_STOPPED_SECONDS if stopped or waited else grace)
        finally:
            if self._client is not None:
                self._client.stop()
                self._keep_widgets(self._client)
            for outputs in self.outputs:
                outputs.finish()
            self.journal.close()

    def _keep_widgets(self, client: StepClient) -> None:
        widgets = client.widgets()
        if widgets is not None:
            self.executed.notebook["metadata"]["widgets"] = self.mask.json(widgets)

    def outcome(self) -> JobOutcome:
        """What is known, after `close`."""
        failure = self._final_failure()
        facts = self.facts
        usage = (
            facts.usage
            if facts
            else Usage(peak_memory_bytes=self.process.peak_memory_bytes or None)
        )
        return JobOutcome(
            failure=failure,
            notebook=self.executed.notebook,
            cells=tuple(self.executed.runs),
            gives=(*self.gives, *(facts.random.gives if facts else ())) if failure is None else (),
            deleted=self._python.deleted if self._python is not None else (),
            probes=facts.probes if facts else (),
            scraps=last_of_each_name(scrap for outputs in self.outputs for scrap in outputs.scraps),
            distributions=facts.distributions if facts else None,
            kernel_version=self.version,
            usage=usage,
            seen=facts.seen if facts else None,
            random=facts.random if facts else RandomUse(),
            left=tuple(self.mask.text(text) for text in self._placed(facts.left if facts else ())),
            warnings=tuple(self.mask.text(text) for text in self.warnings + self._asides()),
        )

    def _asides(self) -> list[str]:
        lost = self._client.asides if self._client is not None else []
        return lost + (self._placed(self.facts.asides) if self.facts is not None else [])

    def _placed(self, texts: Iterable[tuple[int | None, str]]) -> list[str]:
        """Texts with the cells that they belong to."""
        said = []
        for count, text in texts:
            number = self.counts.get(count) if count is not None else None
            said.append(f"cell {number}: {text}" if number is not None else text)
        return said

    def _final_failure(self) -> Failure | None:
        failure = self.failure
        if self.stopping is not None:
            cell = self.current
            failure = replace(
                self.stopping,
                cell=cell.number if cell else None,
                first_line=explain.first_line(cell.source) if cell else None,
                traceback=failure.traceback if failure else None,
            )
        if failure is not None and failure.kind in (
            "kernel-died",
            "kernel-start",
            "timeout",
            "infrastructure",
        ):
            failure = replace(failure, log=self.process.log_tail or None)
        return self._masked(failure) if failure is not None else None
