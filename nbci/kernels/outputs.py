"""What a cell prints and shows: masked, passed on live, and kept up to a cap.

What is beyond the cap goes to files of its own, the spill files.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any, Literal

from nbci.kernels.scraps import scrap_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.kernels.job import OutputWatch
    from nbci.kernels.journal import Journal
    from nbci.records.run_record import Scrap
    from nbci.secrets import Mask, StreamMask

Stream = Literal["stdout", "stderr"]

MOST_OUTPUTS = 2000
TEXT, SHOWN = ".txt", ".jsonl"
"""The suffixes of spill files."""
LONGEST_TRACEBACK = 100_000
PIECE_CHARACTERS = 64 << 10
"""What is masked, checked and written at once.

Kernels send 100 MB in one message when that much is printed.
"""


class CellOutputs:
    """The outputs of one cell as they come; memory grows with what is kept, not what is printed.

    They may come after the cell's end, from its threads; `finish` then completes them once more.
    """

    def __init__(
        self,
        mask: Mask,
        cap_bytes: int,
        spill: Path,
        journal: Journal,
        on_text: Callable[[str, Stream], None],
        *,
        index: int,
        watch: OutputWatch | None = None,
    ) -> None:
        """The outputs are those of the journal's cell at `index`.

        `spill` is the path of the spill files without their suffix. `on_text` is called with masked
        text that is kept; `watch` hears the rest, too.
        """
        self._index = index
        self._mask = mask
        self._cap_bytes = cap_bytes
        self._spill = spill
        self._journal = journal
        self._on_text = on_text
        self._watch = watch
        self._streams: dict[str, StreamMask] = {}
        self._kept_bytes = 0
        self._display_bytes: dict[str, int] = {}
        self._clear_at_next = False
        self._files: dict[str, IO[str]] = {}
        self._has_noted_files = False
        self.scraps: list[Scrap] = []

    def count(self, count: int | None) -> None:
        """Keep the execution count that the kernel gave the cell."""
        self._journal.turn(self._index)
        self._journal.add({"do": "count", "count": count})

    def fail(self, error: OSError) -> None:
        """Report that what the cell prints cannot be kept."""
        self._journal.fail(error)

    def text(self, name: str, chunk: str) -> None:
        """Take what the cell printed to the stream `name`."""
        self._journal.turn(self._index)
        self._clear_if_asked()
        # A mask for each stream: a secret may be printed in two messages, with others between.
        mask = self._streams.setdefault(name, self._mask.stream())
        for at in range(0, len(chunk), PIECE_CHARACTERS):
            self._keep_text(name, mask.feed(chunk[at : at + PIECE_CHARACTERS]))

    def flush(self) -> None:
        """Pass on what was held back, as it may be a secret's beginning: it goes on no more."""
        self._journal.turn(self._index)
        for name, mask in self._streams.items():
            self._keep_text(name, mask.flush())

    def clear(self, *, wait: bool) -> None:
        """Clear the cell's outputs; with `wait`, when the next one comes."""
        self.flush()
        self._clear_at_next = wait
        if not wait:
            self._clear()

    def masked(self, content: Any) -> Any:
        """Any message's content without secrets."""
        return self._mask.json(content)

    def show(self, kind: str, content: Mapping[str, Any], cell: int | None) -> None:
        """Take what the cell showed, or the new content of what is shown under a display's name.

        `kind` is the message's.
        """
        self.flush()
        is_update = kind == "update_display_data"
        if not is_update:
            self._clear_if_asked()
        output = self._display_output(kind, content)
        scrap = scrap_of(output, cell)
        if scrap is not None:
            self.scraps.append(scrap)
        if self._watch is not None:
            self._watch.shown(output)

        # https://jupyter-client.readthedocs.io/en/stable/messaging.html: display_data
        name = (content.get("transient") or {}).get("display_id")
        event: dict[str, Any] = {"do": "update" if is_update else "show", "output": output}
        display = None
        if name:
            display = event["id"] = str(name)
        if not self._admits(output, display, is_update=is_update):
            self._spill_display(output)
        elif display is not None or not is_update:
            self._journal.add(event)

    def _display_output(self, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The output as nbformat has it."""
        if kind != "execute_result":
            return {"output_type": "display_data", **self._masked_display(content)}
        return {
            "output_type": kind,
            **self._masked_display(content),
            "execution_count": content.get("execution_count"),
        }

    def error(self, content: Mapping[str, Any]) -> None:
        """Take what the cell raised: masked, and of bearable length."""
        self.flush()
        self._clear_if_asked()
        lines = [bearable(str(line), self._mask) for line in content.get("traceback") or ()]
        output = {
            "output_type": "error",
            "ename": self._mask.text(clean(str(content.get("ename") or "Error"))),
            "evalue": bearable(clean(str(content.get("evalue") or "")), self._mask),
            "traceback": [clean(line) for line in lines],
        }
        self._journal.add({"do": "show", "output": output})

    def finish(self) -> None:
        """Complete the outputs of a cell that ended, and say where the rest is."""
        self.flush()
        try:
            for file in self._files.values():
                file.close()
        except OSError as error:
            self._journal.fail(error)
        # Once: a cell is finished again when its threads print after its end.
        if self._files and not self._has_noted_files:
            self._has_noted_files = True
            self._note_files()

    def _note_files(self) -> None:
        """Say in the notebook, and to who watches, where the output continues."""
        paths = " and ".join(map(self._path_in_step, sorted(self._files, reverse=True)))
        kept = _readable(self._cap_bytes)
        notice = self._mask.text(
            f"[nbci] the cell's output is over {kept} or {MOST_OUTPUTS} pieces: "
            f"it continues in {paths} in the step's folder of the run\n"
        )
        output = {"output_type": "stream", "name": "stderr", "text": notice}
        self._journal.add({"do": "show", "output": output})
        self._on_text(notice, "stderr")

    def _clear_if_asked(self) -> None:
        if self._clear_at_next:
            self.flush()
            self._clear()

    def _clear(self) -> None:
        self._clear_at_next = False
        self._kept_bytes = 0
        self._display_bytes.clear()
        self._journal.add({"do": "clear"})

    def _masked_display(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Data and metadata of a display output without secrets and what no file can hold."""
        given = content.get("data") or {}
        data = self._mask.json({kind: _join_lines(kind, value) for kind, value in given.items()})
        for kind, value in data.items():
            if isinstance(value, str):
                data[kind] = clean(value)
        return {"data": data, "metadata": self._mask.json(content.get("metadata") or {})}

    def _admits(self, output: Mapping[str, Any], display: str | None, *, is_update: bool) -> bool:
        """Whether a display output stays in the notebook; one that replaces another takes its room.

        Without that, a progress bar would use up the cap by itself.
        """
        size = len(json.dumps(output["data"]))
        replaced = 0
        if is_update and display is not None:
            replaced = self._display_bytes.get(display, 0)
        kept = self._kept_bytes - replaced + size
        is_one_too_many = not is_update and self._journal.executed.pieces >= MOST_OUTPUTS
        if kept > self._cap_bytes or is_one_too_many:
            return False
        self._kept_bytes = kept
        if display is not None:
            self._display_bytes[display] = size
        return True

    def _spill_display(self, output: Mapping[str, Any]) -> None:
        line = json.dumps({"data": output["data"], "metadata": output["metadata"]}) + "\n"
        self._spill_file(SHOWN).write(line)

    def _keep_text(self, name: str, text: str) -> None:
        if not text:
            return
        text = clean(text)
        if TEXT in self._files:
            self._spill_file(TEXT).write(text)

        # nbformat knows two streams; whatever else a kernel names is taken for the usual one.
        stream: Stream = "stderr" if name == "stderr" else "stdout"
        if self._watch is not None:
            self._watch.printed(text, stream)
        room = self._cap_bytes - self._kept_bytes
        size = _utf8_bytes(text)
        executed = self._journal.executed
        is_one_too_many = executed.open_stream != stream and executed.pieces >= MOST_OUTPUTS
        if size > room or is_one_too_many:
            if TEXT not in self._files:
                self._begin_spill(text)
            text = text.encode()[: max(room, 0)].decode(errors="ignore")
            if is_one_too_many:
                text = ""
            size = room
        self._kept_bytes += size
        if text:
            self._journal.add({"do": "text", "stream": stream, "text": text})
            self._on_text(text, stream)

    def _begin_spill(self, text: str) -> None:
        """Start the spill file with all that was printed before, so that it holds the whole."""
        file = self._spill_file(TEXT)
        for output in self._journal.executed.outputs:
            if output.get("output_type") == "stream":
                file.write(output["text"])
        file.write(text)

    def _spill_file(self, suffix: str) -> IO[str]:
        """The file that takes what goes over the cap; opened again for what threads print later."""
        file = self._files.get(suffix)
        if file is not None and not file.closed:
            return file
        mode = "a"
        if file is None:
            mode = "w"
        path = self._spill.with_name(self._spill.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = self._files[suffix] = path.open(mode, encoding="utf-8")
        # Flushed with the journal, so that a killed nbci leaves both up to the same moment.
        self._journal.write_with(file)
        self._journal.add({"do": "spill", "path": self._path_in_step(suffix)})
        return file

    def _path_in_step(self, suffix: str) -> str:
        return f"{self._spill.parent.name}/{self._spill.name}{suffix}"


def _join_lines(kind: str, value: Any) -> Any:
    """The lines of a text as one text: it is shown so, and a secret may stand in two of them."""
    # A list in JSON is data, not lines.
    if not isinstance(value, list) or kind.endswith("json"):
        return value
    if not all(isinstance(line, str) for line in value):
        return value
    return "".join(value)


def clean(text: str) -> str:
    """`text` without lone surrogates, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def bearable(text: str, mask: Mask) -> str:
    """What an exception says, masked; without its middle beyond LONGEST_TRACEBACK characters."""
    # Half a secret at a cut would not be masked, so more than is kept is masked before the cut.
    # All of it may be many megabytes, such as of an array in a message.
    masked = mask.text(_without_middle(text, 2 * LONGEST_TRACEBACK))
    return _without_middle(masked, LONGEST_TRACEBACK)


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


def _utf8_bytes(text: str) -> int:
    # To ask whether it is ASCII costs nothing, and spares a copy of almost all output.
    if text.isascii():
        return len(text)
    return len(text.encode())


def _readable(size: int) -> str:
    """The cap as a person set it: not rounded, as `formatting` would."""
    if size >= 1 << 20:
        return f"{size / (1 << 20):g} MiB"
    return f"{size} bytes"
