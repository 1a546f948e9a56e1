"""Widgets in an executed notebook: what is printed into them, and their kept state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient.output_widget import OutputWidget
from nbformat.v4 import output_from_msg

if TYPE_CHECKING:
    from nbclient import NotebookClient

MOST_CHARACTERS = 1 << 20
MOST_OUTPUTS = 2000


class CapturingWidget(OutputWidget):
    """An output widget that tells the kernel what it captured once, when it stops to capture.

    nbclient's sends all of it to the kernel with each line, which is quadratic; the kernel reads it
    only when its cell has ended. A widget takes up to a limit, and no more.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.msg_id = ""
        self._characters = 0
        self._chunks: list[str] = []
        self.parent_header: dict[str, Any] = {}

    @property
    def has_room(self) -> bool:
        """Whether it can take more."""
        return self._characters < MOST_CHARACTERS and len(self.outputs) < MOST_OUTPUTS

    def output(
        self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> None:
        """Take an output."""
        if self.clear_before_next_output:
            self._clear()
        self.parent_header = msg["parent_header"]
        output = output_from_msg(msg)
        is_text = output["output_type"] == "stream"
        if not is_text:
            self._characters += len(str(output))
            self._join()
            self.outputs.append(output)
            return

        self._characters += len(output["text"])
        if self._chunks and self.outputs[-1]["name"] == output["name"]:
            self._chunks.append(output["text"])
            return
        self._join()
        self.outputs.append(output)
        self._chunks = [output["text"]]

    def clear_output(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Clear what it took, at once or before the next output."""
        self.parent_header = msg["parent_header"]
        self.clear_before_next_output = bool(msg["content"].get("wait"))
        if not self.clear_before_next_output:
            self._clear()

    def set_state(self, state: dict[str, Any]) -> None:
        """Begin or stop to capture, or hold what the kernel gave it."""
        if "outputs" in state:
            self._clear()
            self.outputs = list(state["outputs"])
        # ipywidgets sets `msg_id` to the request whose outputs it wants, and to "" at the end.
        request = state.get("msg_id")
        if request == "" and self.msg_id:
            self.sync_state()
        # A state without `msg_id` is about something else; None would be taken for an end.
        if request or (request == "" and self.msg_id):
            super().set_state({"msg_id": request})

    def sync_state(self) -> None:
        """Tell the kernel, and keep it for the notebook's metadata."""
        self._join()
        self.executor.widget_state[self.comm_id]["outputs"] = self.outputs
        super().sync_state()

    def _clear(self) -> None:
        self.outputs = []
        self._chunks = []
        self._characters = 0
        self.clear_before_next_output = False

    def _join(self) -> None:
        if self._chunks:
            self.outputs[-1]["text"] = "".join(self._chunks)
            self._chunks = []


OUTPUT_WIDGETS = {"@jupyter-widgets/output": {"OutputModel": CapturingWidget}}


def widgets_metadata(client: NotebookClient) -> dict[str, Any] | None:
    """The state of all widgets as nbformat has it in `metadata.widgets`; None without widgets."""
    client.set_widgets_metadata()
    kept: dict[str, Any] | None = client.nb.metadata.get("widgets")
    return kept
