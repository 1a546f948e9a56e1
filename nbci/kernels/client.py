"""nbclient's client, whose outputs are masked, capped and passed on as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient

from nbci.kernels.process import quiet

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from nbci.kernels.outputs import CellOutputs

SHOWN = ("display_data", "execute_result", "update_display_data")
IOPUB_TIMEOUT_SECONDS = 3600


class StepClient(NotebookClient):
    """Executes cells; what a cell prints goes through `outputs`, which is set for each cell."""

    outputs: CellOutputs
    cell_number: int | None
    messages_seen: int

    def __init__(self, nb: NotebookNode, km: Any, kc: Any) -> None:
        super().__init__(nb, km=km, log=quiet, timeout=None, iopub_timeout=IOPUB_TIMEOUT_SECONDS)
        self.kc = kc
        self.cell_number = None
        self.messages_seen = 0
        self.on_cell_error = note_raised

    async def _async_poll_kernel_alive(self) -> None:
        """Nothing: whoever runs this client watches the process itself, more often than each second."""

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """nbclient's, but for masking, the cap, and streams, which are joined as they come."""
        self.messages_seen += 1
        kind = msg["msg_type"]
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            msg["content"] = self.outputs.masked(msg["content"])
        elif kind == "stream":
            self._clear_if_asked(cell, cell_index)
            self.outputs.text(cell.outputs, msg["content"]["name"], msg["content"]["text"])
            return None
        elif kind in SHOWN:
            self.outputs.flush(cell.outputs)
            if kind != "update_display_data":
                self._clear_if_asked(cell, cell_index)
            msg["content"].update(self.outputs.masked_display(msg["content"]))
            if not self.outputs.admits(msg["content"], cell.outputs, self.cell_number):
                return None
        elif kind == "error":
            self.outputs.flush(cell.outputs)
            msg["content"] = self.outputs.error(msg["content"])
        elif kind == "clear_output":
            self.outputs.flush(cell.outputs)
            if not msg["content"].get("wait"):
                self.outputs.clear()
        answer: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return answer

    def _clear_if_asked(self, cell: NotebookNode, cell_index: int) -> None:
        if self.clear_before_next_output:
            self.outputs.flush(cell.outputs)
            cell.outputs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
            self.outputs.clear()


def note_raised(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """Say in the cell's metadata that it raised, which matters where a tag allows it to."""
    cell.metadata.setdefault("nbci", {})["raised"] = str(execute_reply["content"].get("ename") or "error")
