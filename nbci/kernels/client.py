"""Executes cells: all that the kernel sends is read, and goes to the cell that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from nbclient import NotebookClient
from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionComplete

from nbci.kernels.kernel_manager import quiet
from nbci.kernels.widgets import OUTPUT_WIDGETS, widgets_metadata
from nbci.notebook.nbval_marks import may_fail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nbformat import NotebookNode

    from nbci.kernels.outputs import CellOutputs

SHOWN = ("display_data", "execute_result", "update_display_data")
OF_THE_LATEST = ("stream", "clear_output", *SHOWN, "comm_open", "comm_msg", "comm_close")
CAPTURED = ("stream", "clear_output", "display_data", "execute_result", "error")
QUIET_SECONDS = 2.0
"""How long a kernel that has replied may send nothing before it is asked something else."""

END_LOST = (
    "the kernel's word that the cell had ended was lost, and some of what it printed may be, too"
)
DROPPED = (
    "it printed faster than its kernel could send, and this kernel drops what finds no room in its"
    " queue: some of what was printed may be lost; print less, or more at once"
)


class RanCell(Struct, frozen=True, kw_only=True):
    """A cell that was sent to the kernel, and where its outputs go; `number` is the notebook's."""

    node: NotebookNode
    index: int
    number: int | None
    outputs: CellOutputs


class StepClient(NotebookClient):
    """A client in which one task reads what the kernel sends, for as long as the kernel lives.

    Outputs belong to the cell whose request they answer, also when it has ended: a thread may print
    later. What answers nbci's own questions or a widget's message belongs to the latest cell. What
    a kernel prints when it starts belongs to none, and is in its log.
    """

    def __init__(self, nb: NotebookNode, km: Any, kc: Any, greetings: Collection[str] = ()) -> None:
        super().__init__(nb, km=km, log=quiet, timeout=None)
        self.kc: Any = kc
        self.messages_seen = 0
        self.asides: list[str] = []
        """Warnings about outputs that may be lost."""
        self.widget_registry = OUTPUT_WIDGETS
        self._cells: dict[str, RanCell] = {}
        self._latest: RanCell | None = None
        self._dropped = 0
        self._greetings = {"", *greetings}
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._reading = asyncio.ensure_future(self._read())

    def stop(self) -> None:
        """Read no more."""
        self._reading.cancel()

    async def run_cell(
        self, index: int, number: int | None, outputs: CellOutputs
    ) -> dict[str, Any] | None:
        """Run the cell at `index`; the kernel's reply once all outputs are there.

        None where nothing is to be run.
        """
        node = self.nb.cells[index]
        tags = node.metadata.get("tags", [])
        # As nbclient and Jupyter do: a kernel would not even count an empty cell.
        if not node.source.strip() or self.skip_cells_with_tag in tags:
            return None

        node.metadata["execution"] = {}
        # Only a StoppingChannel wants to know; ipykernel's channel loses nothing.
        ask = getattr(self.kc.iopub_channel, "ask", None)
        if ask is not None:
            ask()
        asked = self.kc.execute(node.source, stop_on_error=not may_fail(tags))
        cell = RanCell(node=node, index=index, number=number, outputs=outputs)
        self._latest = self._cells[asked] = cell

        reply = await self._reply(asked)
        node.metadata["execution"]["shell.execute_reply"] = timestamp(reply)
        content: dict[str, Any] = reply["content"]
        if content["status"] == "error":
            node.metadata.setdefault("nbci", {})["raised"] = str(content.get("ename") or "error")
        if not await self.hear_all(asked):
            self.asides.append(f"cell {number}: {END_LOST}")
        return content

    def allows_errors(self, index: int) -> bool:
        """Whether the cell at `index` may raise."""
        return may_fail(self.nb.cells[index].metadata.get("tags", []))

    async def hear_all(self, asked: str) -> bool:
        """Wait for all messages about the request `asked`; whether the last, `idle`, came.

        Where it was lost, others may be, too: a queue was full. A kernel that sends nothing is
        asked something else, and its messages about that come behind all that it sent before.
        """
        end = self._end(asked)
        questions: list[asyncio.Future[None]] = []
        while not end.done():
            seen = self.messages_seen
            events = [end, self._reading, *questions]
            await asyncio.wait(events, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)

            # Reading ends with an error only: it is raised here, where somebody waits.
            if self._reading.done():
                self._reading.result()
            if any(question.done() for question in questions):
                return end.done()
            if self.messages_seen == seen:
                questions.append(self._end(self.kc.kernel_info()))
        return True

    def widgets(self) -> dict[str, Any] | None:
        """The state of all widgets, as a notebook's metadata keep it."""
        return widgets_metadata(self)

    async def _reply(self, asked: str) -> dict[str, Any]:
        while True:
            reply: dict[str, Any] = await self.kc.shell_channel.get_msg()
            if reply["parent_header"].get("msg_id") == asked:
                return reply

    async def _read(self) -> None:
        while True:
            message = await self.kc.iopub_channel.get_msg()
            self.messages_seen += 1
            asked = message["parent_header"].get("msg_id", "")
            kind = message["msg_type"]

            cell = self._cells.get(asked)
            self._note_dropped(cell or self._latest)
            # Else what a widget's callback prints would be lost: its message is no cell's request.
            if cell is None and asked not in self._greetings and kind in OF_THE_LATEST:
                cell = self._latest
            if cell is not None:
                self._take(message, cell)

            if kind == "status" and message["content"]["execution_state"] == "idle":
                self._note_end(asked)

    def _note_dropped(self, cell: RanCell | None) -> None:
        """Warn once a cell where the kernel may have dropped what it printed."""
        dropped = getattr(self.kc.iopub_channel, "dropped", 0)
        if dropped > self._dropped and cell is not None:
            warning = f"cell {cell.number}: {DROPPED}"
            if warning not in self.asides:
                self.asides.append(warning)
        self._dropped = dropped

    def _take(self, message: dict[str, Any], cell: RanCell) -> None:
        # An error of the disk ends the step, not the reading: the kernel must be heard to its end.
        content = message["content"]
        try:
            if self._is_captured(message):
                message["content"] = cell.outputs.masked(content)
            elif take_output(message["msg_type"], content, cell):
                return
        except OSError as error:
            cell.outputs.fail(error)
            return
        # nbclient does the rest: the states of widgets, and timestamps.
        with contextlib.suppress(CellExecutionComplete):
            self.process_message(message, cell.node, cell.index)

    def _is_captured(self, message: dict[str, Any]) -> bool:
        """Whether an output widget takes this output; a full one leaves it to the cell."""
        hooks: Any = self.output_hook_stack[message["parent_header"].get("msg_id")]
        return bool(hooks) and message["msg_type"] in CAPTURED and hooks[-1].has_room

    def _end(self, asked: str) -> asyncio.Future[None]:
        if asked not in self._ends:
            self._ends[asked] = asyncio.get_running_loop().create_future()
        return self._ends[asked]

    def _note_end(self, asked: str) -> None:
        if not self._end(asked).done():
            self._end(asked).set_result(None)


def take_output(kind: str, content: Mapping[str, Any], cell: RanCell) -> bool:
    """Add an output to the cell's; whether the message was one."""
    if kind == "stream":
        cell.outputs.text(content["name"], content["text"])
    elif kind in SHOWN:
        cell.outputs.show(kind, content, cell.number)
    elif kind == "error":
        cell.outputs.error(content)
    elif kind == "clear_output":
        cell.outputs.clear(wait=bool(content.get("wait")))
    else:
        if kind == "execute_input":
            cell.outputs.count(content.get("execution_count"))
        return False
    return True
