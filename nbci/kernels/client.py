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
        """As nbclient does, but outputs go to `outputs`; what the disk refuses ends the step, not this task."""
        self.messages_seen += 1
        try:
            if self.output_hook_stack[msg["parent_header"].get("msg_id")]:
                msg["content"] = self.outputs.masked(msg["content"])
            elif self._is_taken(msg["msg_type"], msg["content"]):
                return None
        except OSError as error:
            self.outputs.fail(error)
            return None
        answer: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return answer

    def _is_taken(self, kind: str, content: dict[str, Any]) -> bool:
        """Whether the message was an output of the cell's, which is now in the notebook."""
        if kind == "stream":
            self.outputs.text(content["name"], content["text"])
        elif kind in SHOWN:
            self.outputs.show(kind, content, self.cell_number)
        elif kind == "error":
            self.outputs.error(content)
        elif kind == "clear_output":
            self.outputs.clear(wait=bool(content.get("wait")))
        else:
            if kind == "execute_input":
                self.outputs.count(content.get("execution_count"))
            return False
        return True


def note_raised(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
    """Say in the cell's metadata that it raised, which matters where a tag allows it to."""
    cell.metadata.setdefault("nbci", {})["raised"] = str(execute_reply["content"].get("ename") or "error")
