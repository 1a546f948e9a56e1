"""Runs the cells of a step one by one in a started kernel, and notes what came of each."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.formatting.durations import now_utc
from nbci.kernels import explain
from nbci.kernels.document import unrunnable
from nbci.kernels.outputs import CellOutputs
from nbci.kernels.waiting import TimedOut
from nbci.records.codec import plain
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.kernels.job import KernelJob, Listener, OutputWatch, ProgramCell
    from nbci.kernels.journal import Journal
    from nbci.kernels.outputs import Stream
    from nbci.kernels.process import KernelProcess
    from nbci.kernels.waiting import KernelWait
    from nbci.records.journal import ExecutedNotebook
    from nbci.secrets import Mask


class CellRunner:
    """Runs cells; `current` is the one that runs or ran last, `outputs` has those of each."""

    def __init__(
        self,
        job: KernelJob,
        listener: Listener,
        mask: Mask,
        *,
        executed: ExecutedNotebook,
        journal: Journal,
        process: KernelProcess,
        wait: KernelWait,
        watch: OutputWatch | None = None,
    ) -> None:
        self._job = job
        self._listener = listener
        self._mask = mask
        self._executed = executed
        self._journal = journal
        self._process = process
        self._wait = wait
        self._watch = watch
        self._numbers: dict[int, int | None] = {}
        """The cells' numbers in the notebook by execution count, which is what kernels tell."""
        self.current: ProgramCell | None = None
        self.outputs: list[CellOutputs] = []

    async def run(self, index: int) -> Failure | None:
        """Run the cell of that index; why it failed, if it did."""
        cell = self._job.cells[index]
        self.current = cell
        self._listener.cell_started(cell, index, len(self._job.cells))
        outputs = self._new_outputs(cell, index)
        self.outputs.append(outputs)
        started = time.monotonic()
        self._journal.add({"do": "start", "cell": index, "started_utc": now_utc()})

        # Also when the task is cancelled: the record must not say that the cell passed.
        has_failed = True
        try:
            failure = await self._execute(cell, index, outputs)
            has_failed = failure is not None
        finally:
            outputs.finish()
            # By a clock that nobody sets: the wall's may go back while a cell runs.
            seconds = round(time.monotonic() - started, 6)
            self._note_end(cell, index, has_failed=has_failed, seconds=seconds)
        return failure

    def with_cells(self, texts: Iterable[tuple[int | None, str]]) -> list[str]:
        """Texts, each with the cell that its execution count stands for."""
        lines = []
        for count, text in texts:
            number = None
            if count is not None:
                number = self._numbers.get(count)
            prefix = ""
            if number is not None:
                prefix = f"cell {number}: "
            lines.append(prefix + text)
        return lines

    def _new_outputs(self, cell: ProgramCell, index: int) -> CellOutputs:
        name = f"cell-{cell.number or index + 1:03d}-output"
        spill = self._job.spill_folder / name
        cap_bytes = self._job.output_cap_bytes
        return CellOutputs(
            self._mask,
            cap_bytes,
            spill,
            self._journal,
            self._pass_on_text,
            index=index,
            watch=self._watch,
        )

    def _pass_on_text(self, text: str, stream: Stream) -> None:
        self._listener.text_printed(self.current, text, stream)

    async def _execute(self, cell: ProgramCell, index: int, outputs: CellOutputs) -> Failure | None:
        problem = unrunnable(cell.source)
        if problem is not None:
            line = explain.first_line(cell.source.split("\0")[0])
            message = f"the cell {problem}"
            return Failure(kind="exception", message=message, cell=cell.number, first_line=line)

        client = self._wait.ready_client()
        seconds = self._job.cell_timeout_seconds
        which = cell.number or "of the parameters"
        late = f"cell {which} took longer than {seconds or 0:g} seconds"
        try:
            running = client.run_cell(index, cell.number, outputs)
            reply = await self._wait.answer_in_time(running, seconds, late)
        except TimedOut as error:
            line = explain.first_line(cell.source)
            return Failure(kind="timeout", message=str(error), cell=cell.number, first_line=line)

        if reply is None or reply["status"] != "error" or client.allows_errors(index):
            return None
        return self._failure_of_reply(cell, index, reply)

    def _failure_of_reply(self, cell: ProgramCell, index: int, reply: Mapping[str, Any]) -> Failure:
        shown = {**reply, "traceback": self._traceback(reply)}
        count = self._executed.notebook["cells"][index]["execution_count"]
        failure = explain.failure_of_error(cell, shown, count)
        hint = failure.hint or self._missing_module_hint(failure)
        return explain.masked_failure(replace(failure, hint=hint), self._mask)

    def _traceback(self, reply: Mapping[str, Any]) -> list[str]:
        """The traceback as it is in the notebook, already masked; else the reply's own."""
        for output in reversed(self._executed.outputs):
            if output["output_type"] == "error":
                return list(output["traceback"])
        return list(reply.get("traceback") or ())

    def _missing_module_hint(self, failure: Failure) -> str | None:
        spec = self._process.manager.kernel_spec
        if self._job.language != "python" or spec is None or not spec.argv:
            return None
        locked = self._job.interpreter is not None
        program = spec.argv[0]
        if program.startswith("python") and not os.path.isabs(program):
            # jupyter_client starts its own interpreter for these, too: manager.format_kernel_cmd.
            program = sys.executable
        return explain.missing_module_hint(failure, self._job.kernel_name, program, locked=locked)

    def _note_end(self, cell: ProgramCell, index: int, *, has_failed: bool, seconds: float) -> None:
        count = self._executed.notebook["cells"][index]["execution_count"] or 0
        self._numbers[count] = cell.number
        run = replace(self._executed.runs[index], result="passed", seconds=seconds)
        if has_failed:
            run = replace(run, result="failed")

        metadata: Mapping[str, Any] = {}
        if self._wait.client is not None:
            metadata = self._wait.client.nb.cells[index].metadata
        self._journal.add({"do": "end", "run": plain(run), "metadata": self._mask.json(metadata)})
        self._listener.cell_ended(cell, run)
