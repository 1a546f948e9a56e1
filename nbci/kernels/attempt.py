"""One attempt at a step: its phases in order, and what is known of it at any moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.handoff.answers import Refusal
from nbci.kernels import explain
from nbci.kernels.cell_runner import CellRunner
from nbci.kernels.document import executed_notebook, new_document
from nbci.kernels.job import JobOutcome
from nbci.kernels.journal import Journal
from nbci.kernels.kernel_manager import StartFailed
from nbci.kernels.process import KernelProcess
from nbci.kernels.python_kernel import KernelConfused, PythonKernel
from nbci.kernels.scraps import last_of_each_name
from nbci.kernels.waiting import KernelDied, KernelWait
from nbci.light_imports import lean_import
from nbci.records.run_record import Failure, Usage
from nbci.secrets import Mask, credentials, too_short

if TYPE_CHECKING:
    from nbci.handoff.values import ValueRef
    from nbci.kernels.client import StepClient
    from nbci.kernels.job import KernelJob, Listener, OutputWatch
    from nbci.kernels.python_kernel import Facts
    from nbci.kernels.zygote.zygotes import Zygotes

BEFORE_VALUES = ("parameters", "injected", "imports", "functions")
"""Roles of cells that run before values are loaded, since values may need what they define."""

WITH_LOG = ("kernel-died", "kernel-start", "timeout", "infrastructure")
"""Kinds of failures whose cause may stand in what the process wrote outside any cell."""

GRACE_SECONDS = 5.0
GRACE_OF_OTHERS_SECONDS = 1.0
GRACE_WHEN_STOPPED_SECONDS = 0.5


class Attempt:
    """State and course of one attempt at a step.

    `work` may be cancelled anywhere; `outcome` then holds what is known until there.
    """

    def __init__(
        self,
        job: KernelJob,
        listener: Listener,
        *,
        display_name: str,
        zygotes: Zygotes | None = None,
        watch: OutputWatch | None = None,
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

        self.gives: tuple[ValueRef, ...] = ()
        self.facts: Facts | None = None
        self.version: str | None = None
        short = too_short(secrets.items())
        self.warnings = [f"the secret {name} is too short to be masked" for name in short]

        self.process = KernelProcess(job, self.mask, self._pass_on_log, zygotes)
        self._wait = KernelWait(self.process, self.journal)
        self._cells = CellRunner(
            job,
            listener,
            self.mask,
            executed=self.executed,
            journal=self.journal,
            process=self.process,
            wait=self._wait,
            watch=watch,
        )
        self._python: PythonKernel | None = None

    # ---------------------------------------------------------------------------------- phases
    async def work(self) -> None:
        """Do everything but ending the kernel; a failure of the step ends up in `failure`."""
        try:
            await self._start_kernel()
            await self._carry_out()
        except StartFailed as error:
            message = f"the kernel `{self.job.kernel_name}` did not start: {error}"
            self.failure = Failure(kind="kernel-start", message=message)
        except KernelConfused as error:
            message = "the kernel no longer answers nbci: the step's code changed it beyond use"
            self.failure = Failure(kind="exception", message=message, traceback=str(error))
        except KernelDied:
            self.failure = explain.failure_of_death(self._cells.current, self.process.death(), "")

    async def _carry_out(self) -> None:
        """The phases of a step in a started kernel; each tells whether the next may begin."""
        await self._connect()
        split = self._first_cell_with_values()

        passed = (
            await self._run_cells(0, split)
            and await self._load_values()
            and await self._run_cells(split, len(self.job.cells))
            and await self._save_values()
        )
        if passed:
            await self._read_facts()

    async def _start_kernel(self) -> None:
        """Start the kernel; what is needed next is imported while it comes up."""
        starting = asyncio.ensure_future(self.process.start())
        try:
            # Once around the loop, so that the start begins before this process is busy.
            await asyncio.sleep(0)
            # Imported while the kernel comes up, when this process would only wait.
            lean_import("nbci.kernels.client")

            await starting
        finally:
            starting.cancel()

    async def _connect(self) -> None:
        """Open the journal, read what the kernel says, and send a Python kernel nbci's part."""
        import nbformat

        from nbci.kernels.client import StepClient

        process = self.process
        if process.language_info:
            language_info = self.mask.json(process.language_info)
            self.executed.notebook["metadata"]["language_info"] = language_info
        self.journal.open()

        document = nbformat.from_dict(self.document)
        client = StepClient(document, process.manager, process.client, process.greetings)
        client.reset_execution_trackers()
        self._wait.client = client

        if self.job.language == "python":
            self._python = PythonKernel(self.job, process)
            self.version = await self._wait.answer(self._python.install())

    def _first_cell_with_values(self) -> int:
        for index, cell in enumerate(self.job.cells):
            if cell.role not in BEFORE_VALUES:
                return index
        return len(self.job.cells)

    async def _run_cells(self, first: int, end: int) -> bool:
        for index in range(first, end):
            if self.stopping is not None:
                return False
            self.failure = await self._cells.run(index)
            if self.failure is not None:
                return False
        return True

    async def _load_values(self) -> bool:
        if self.stopping is not None:
            return False
        if self._python is None:
            return True
        refusal = await self._wait.answer(self._python.load())
        if refusal is not None:
            self.failure = self._failure_of_refusal(refusal)
        return refusal is None

    async def _save_values(self) -> bool:
        self._cells.current = None
        if self.stopping is not None:
            return False
        if self._python is None:
            return True
        answer = await self._wait.answer(self._python.save())
        # Also where saving is refused: it is then that a user looks for what went missing.
        self.warnings += self._python.lost
        if isinstance(answer, Refusal):
            self.failure = self._failure_of_refusal(answer)
            return False
        self.gives = answer
        return True

    async def _read_facts(self) -> None:
        """Read metrics and observations, then hear what the kernel printed meanwhile."""
        if self._python is not None and self.stopping is None:
            self.facts = await self._wait.answer(self._python.finish())
            await self._wait.answer(self._wait.ready_client().hear_all(self._python.asked))

    def _failure_of_refusal(self, refusal: Refusal) -> Failure:
        return Failure(
            kind=refusal.kind,
            message=self.mask.text(refusal.message),
            hint=refusal.hint,
            error=refusal.error,
        )

    def _pass_on_log(self, text: str) -> None:
        self.listener.text_printed(None, text, "stderr")

    # ---------------------------------------------------------------------------------- its end
    async def interrupt(self) -> None:
        """Interrupt the kernel if it is doing something for this attempt, else kill it."""
        if self._wait.is_waiting:
            await self.process.interrupt()
        else:
            self.process.kill()

    def kill(self) -> None:
        """Kill the kernel at once."""
        self.process.kill()

    async def close(self) -> None:
        """End the kernel and everything that it started; complete notebook and journal."""
        try:
            await self.process.end(self._grace_seconds())
        finally:
            if self._wait.client is not None:
                self._wait.client.stop()
                self._keep_widgets(self._wait.client)
            for outputs in self._cells.outputs:
                outputs.finish()
            self.journal.close()

    def _grace_seconds(self) -> float:
        """How long the kernel has to end by itself, so that its exit handlers run."""
        timed_out = self.failure is not None and self.failure.kind == "timeout"
        # A thread that never ends would be waited for in vain.
        has_threads = self.facts is not None and self.facts.has_unended_threads
        stopped = self.stopping is not None or timed_out or self.journal.failed.done()
        if stopped or has_threads:
            return GRACE_WHEN_STOPPED_SECONDS
        if self.job.language == "python":
            return GRACE_SECONDS
        return GRACE_OF_OTHERS_SECONDS

    def _keep_widgets(self, client: StepClient) -> None:
        widgets = client.widgets()
        if widgets is not None:
            self.executed.notebook["metadata"]["widgets"] = self.mask.json(widgets)

    # ---------------------------------------------------------------------------------- outcome
    def outcome(self) -> JobOutcome:
        """What is known, after `close`."""
        failure = self._final_failure()
        scraps = last_of_each_name(
            scrap for outputs in self._cells.outputs for scrap in outputs.scraps
        )
        outcome = JobOutcome(
            failure=failure,
            notebook=self.executed.notebook,
            cells=tuple(self.executed.runs),
            scraps=scraps,
            kernel_version=self.version,
            usage=Usage(peak_memory_bytes=self.process.peak_memory_bytes or None),
            warnings=tuple(self.mask.text(text) for text in self._all_warnings()),
        )

        if self._python is not None:
            outcome = replace(outcome, deleted=self._python.deleted)
        if self.facts is not None:
            outcome = self._with_facts(outcome, self.facts)
        if failure is None:
            # Values of a failed step are not handed on, whatever was saved of them.
            outcome = replace(outcome, gives=(*self.gives, *outcome.random.gives))
        return outcome

    def _with_facts(self, outcome: JobOutcome, facts: Facts) -> JobOutcome:
        return replace(
            outcome,
            probes=facts.probes,
            distributions=facts.distributions,
            usage=facts.usage,
            seen=facts.seen,
            random=facts.random,
            left=tuple(self.mask.text(text) for text in self._cells.with_cells(facts.left)),
        )

    def _all_warnings(self) -> list[str]:
        warnings = list(self.warnings)
        if self._wait.client is not None:
            warnings += self._wait.client.asides
        if self.facts is not None:
            warnings += self._cells.with_cells(self.facts.asides)
        return warnings

    def _final_failure(self) -> Failure | None:
        failure = self.failure
        if self.stopping is not None:
            failure = self._failure_of_stop(self.stopping)
        if failure is None:
            return None
        if failure.kind in WITH_LOG:
            failure = replace(failure, log=self.process.log_tail or None)
        return explain.masked_failure(failure, self.mask)

    def _failure_of_stop(self, stopping: Failure) -> Failure:
        """Why the step was stopped, with the cell that ran then and where it was."""
        cell = self._cells.current
        if cell is not None:
            line = explain.first_line(cell.source)
            stopping = replace(stopping, cell=cell.number, first_line=line)
        if self.failure is not None:
            stopping = replace(stopping, traceback=self.failure.traceback)
        return stopping
