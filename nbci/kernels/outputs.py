"""What a cell prints and shows: masked, passed on live, journaled up to a cap and spilled to files
beyond it.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any, Literal

from nbci.kernels.scraps import scrap_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.kernels.journal import Journal
    from nbci.records.run_record import Scrap
    from nbci.secrets import Mask, StreamMask

Stream = Literal["stdout", "stderr"]

MOST_OUTPUTS = 2000
TEXT, SHOWN = ".txt", ".jsonl"
"""The suffixes of spill files."""
LONGEST_TRACEBACK = 100_000
PIECE_CHARACTERS = 64 << 10
"""What is masked, checked and written at once: kernels send 100 MB in one message when that much is
printed.
"""


class CellOutputs:
    """The outputs of one cell as they come; time and memory grow with what is kept, not with what
    is printed.

    They may come after the cell's end, from its threads; `finish` then completes them once more.
    """

    def __init__(
        self,
        mask: Mask,
        cap_bytes: int,
        spill: Path,
        journal: Journal,
        said: Callable[[str, Stream], None],
        *,
        index: int,
    ) -> None:
        """Of the journal's cell at `index`; `spill` is the path of the spill files without their
        suffix.

        `said` is called with masked text.
        """
        self._index = index
        self._mask = mask
        self._cap_bytes = cap_bytes
        self._spill = spill
        self._journal = journal
        self._said = said
        self._streams: dict[str, StreamMask] = {}
        self._kept_bytes = 0
        self._display_bytes: dict[str, int] = {}
        self._clear_at_next = False
        self._files: dict[str, IO[str]] = {}
        self._is_told = False
        self.scraps: list[Scrap] = []

    def count(self, count: int | None) -> None:
        """The kernel gave the cell this execution count."""
        self._journal.turn(self._index)
        self._journal.add({"do": "count", "count": count})

    def fail(self, error: OSError) -> None:
        """What the cell prints cannot be kept."""
        self._journal.fail(error)

    def text(self, name: str, chunk: str) -> None:
        """The cell printed `chunk` to the stream `name`."""
        self._journal.turn(self._index)
        self._clear_if_asked()
        mask = self._streams.setdefault(name, self._mask.stream())
        for at in range(0, len(chunk), PIECE_CHARACTERS):
            self._keep_text(name, mask.feed(chunk[at : at + PIECE_CHARACTERS]))

    def flush(self) -> None:
        """Nothing is held back any more: another kind of output follows, or the end."""
        self._journal.turn(self._index)
        for name, mask in self._streams.items():
            self._keep_text(name, mask.flush())

    def clear(self, *, wait: bool) -> None:
        """The cell cleared its outputs; with `wait`, they stay until the next one comes."""
        self.flush()
        self._clear_at_next = wait
        if not wait:
            self._clear()

    def masked(self, content: Any) -> Any:
        """Any message's content without secrets."""
        return self._mask.json(content)

    def show(self, kind: str, content: Mapping[str, Any], cell: int | None) -> None:
        """The cell showed something (`kind` is the message's), or shows it anew under the name of a
        display.
        """
        self.flush()
        is_update = kind == "update_display_data"
        if not is_update:
            self._clear_if_asked()
        output: dict[str, Any] = {
            "output_type": "execute_result" if kind == "execute_result" else "display_data"
        }
        output |= self._masked_display(content)
        if kind == "execute_result":
            output["execution_count"] = content.get("execution_count")
        scrap = scrap_of(output, cell)
        if scrap is not None:
            self.scraps.append(scrap)
        name = (content.get("transient") or {}).get("display_id")
        if not self._admits(output, str(name) if name else None, is_update=is_update):
            self._spill_display(output)
        elif not is_update:
            self._journal.add(
                {"do": "show", "output": output} | ({"id": str(name)} if name else {})
            )
        elif name:
            self._journal.add({"do": "update", "id": str(name), "output": output})

    def error(self, content: Mapping[str, Any]) -> None:
        """The cell raised; what is shown of it is masked and of bearable length."""
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
        """The cell ended: complete its outputs, and say where the rest is."""
        self.flush()
        try:
            for file in self._files.values():
                file.close()
        except OSError as error:
            self._journal.fail(error)
        if self._files and not self._is_told:
            self._is_told = True
            self._tell_of_files()

    def _tell_of_files(self) -> None:
        paths = " and ".join(
            self._path_in_step(suffix) for suffix in sorted(self._files, reverse=True)
        )
        kept = _readable(self._cap_bytes)
        notice = self._mask.text(
            f"[nbci] the cell's output is over {kept} or {MOST_OUTPUTS} pieces: it continues in {paths}"
            " in the step's folder of the run\n"
        )
        self._journal.add(
            {"do": "show", "output": {"output_type": "stream", "name": "stderr", "text": notice}}
        )
        self._said(notice, "stderr")

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
        """The data and metadata of a display output without secrets and without what no file can
        hold.
        """
        given = {kind: _joined(kind, value) for kind, value in (content.get("data") or {}).items()}
        data = self._mask.json(given)
        cleaned = {
            kind: clean(value) if isinstance(value, str) else value for kind, value in data.items()
        }
        return {"data": cleaned, "metadata": self._mask.json(content.get("metadata") or {})}

    def _admits(self, output: Mapping[str, Any], display: str | None, *, is_update: bool) -> bool:
        """Whether a display output stays in the notebook; one that replaces another takes its
        place.
        """
        size = len(json.dumps(output["data"]))
        replaced = self._display_bytes.get(display, 0) if is_update and display is not None else 0
        kept = self._kept_bytes - replaced + size
        if kept > self._cap_bytes or (
            not is_update and self._journal.executed.pieces >= MOST_OUTPUTS
        ):
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
        name = name if name == "stderr" else "stdout"
        room = self._cap_bytes - self._kept_bytes
        size = len(text) if text.isascii() else len(text.encode())
        executed = self._journal.executed
        is_one_too_many = executed.open_stream != name and executed.pieces >= MOST_OUTPUTS
        if size > room or is_one_too_many:
            if TEXT not in self._files:
                self._begin_spill(text)
            text = "" if is_one_too_many else text.encode()[: max(room, 0)].decode(errors="ignore")
            size = room
        self._kept_bytes += size
        if text:
            self._journal.add({"do": "text", "stream": name, "text": text})
            self._said(text, "stderr" if name == "stderr" else "stdout")

    def _begin_spill(self, text: str) -> None:
        """Start the spill file with all that was printed before, so that it holds the whole."""
        file = self._spill_file(TEXT)
        for output in self._journal.executed.outputs:
            if output.get("output_type") == "stream":
                file.write(output["text"])
        file.write(text)

    def _spill_file(self, suffix: str) -> IO[str]:
        """The file that takes what goes over the cap; it is opened again for what comes after the
        cell's end.
        """
        file = self._files.get(suffix)
        if file is not None and not file.closed:
            return file
        path = self._spill.with_name(self._spill.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[suffix] = path.open("w" if file is None else "a", encoding="utf-8")
        self._journal.write_with(self._files[suffix])
        self._journal.add({"do": "spill", "path": self._path_in_step(suffix)})
        return self._files[suffix]

    def _path_in_step(self, suffix: str) -> str:
        return f"{self._spill.parent.name}/{self._spill.name}{suffix}"


def _joined(kind: str, value: Any) -> Any:
    """The lines of a text as one, as whoever shows them joins them; a secret may stand in two of
    them.
    """
    is_lines = isinstance(value, list) and all(isinstance(line, str) for line in value)
    return "".join(value) if is_lines and not kind.endswith("json") else value


def clean(text: str) -> str:
    """`text` without lone surrogates, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def bearable(text: str, mask: Mask) -> str:
    """What an exception says, masked, and without its middle where it has more than
    LONGEST_TRACEBACK characters.

    Half a secret at a cut would not be masked, so more than is kept is masked before the cut.
    """
    return _without_middle(
        mask.text(_without_middle(text, 2 * LONGEST_TRACEBACK)), LONGEST_TRACEBACK
    )


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


def _readable(size: int) -> str:
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"
