"""What a cell prints and shows: masked, passed on live, kept up to a cap and spilled to files beyond it."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any, Literal

from nbci.kernels.scraps import scrap_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.records.model import Scrap
    from nbci.secrets import Mask, StreamMask

Stream = Literal["stdout", "stderr"]
Output = dict[str, Any]

MOST_OUTPUTS = 2000
LONGEST_TRACEBACK = 100_000


class CellOutputs:
    """The outputs of one cell as they come; time and memory grow with what is kept, not with what is printed."""

    def __init__(self, mask: Mask, cap_bytes: int, spill: Path, said: Callable[[str, Stream], None]) -> None:
        """`spill` is the path of the spill files without their suffix; `said` is called with masked text."""
        self._mask = mask
        self._cap_bytes = cap_bytes
        self._spill = spill
        self._said = said
        self._streams: dict[str, StreamMask] = {}
        self._open: tuple[Output, list[str]] | None = None
        self._kept_bytes = 0
        self._text_file: IO[str] | None = None
        self._shown_file: IO[str] | None = None
        self.scraps: list[Scrap] = []

    def text(self, outputs: list[Output], name: str, chunk: str) -> None:
        """The cell printed `chunk` to the stream `name`."""
        mask = self._streams.setdefault(name, self._mask.stream())
        self._keep_text(outputs, name, mask.feed(chunk))

    def flush(self, outputs: list[Output]) -> None:
        """Nothing is held back any more: another kind of output follows, or the end."""
        for name, mask in self._streams.items():
            self._keep_text(outputs, name, mask.flush())
        self._close_text()

    def clear(self) -> None:
        """The cell cleared its outputs."""
        self._open = None
        self._kept_bytes = 0

    def masked(self, content: Any) -> Any:
        """Any message's content without secrets."""
        return self._mask.json(content)

    def masked_display(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The data and metadata of a display output without secrets and without what no file can hold."""
        data = self._mask.json(content.get("data") or {})
        cleaned = {kind: clean(value) if isinstance(value, str) else value for kind, value in data.items()}
        return {"data": cleaned, "metadata": self._mask.json(content.get("metadata") or {})}

    def admits(self, content: Mapping[str, Any], outputs: list[Output], cell: int | None) -> bool:
        """Whether a display output (masked already) stays in the notebook; what does not is spilled."""
        scrap = scrap_of(content, cell)
        if scrap is not None:
            self.scraps.append(scrap)
        size = len(json.dumps(content.get("data", {})))
        if self._kept_bytes + size <= self._cap_bytes and len(outputs) < MOST_OUTPUTS:
            self._kept_bytes += size
            return True
        if self._shown_file is None:
            self._shown_file = self._open_spill(".jsonl")
        self._shown_file.write(
            json.dumps({"data": content.get("data", {}), "metadata": content.get("metadata", {})}) + "\n"
        )
        return False

    def error(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """An error's content, masked and of bearable length."""
        lines = [_shortened(str(line)) for line in content.get("traceback") or ()]
        masked = [self._mask.text(line) for line in lines]
        return {
            "ename": self._mask.text(clean(str(content.get("ename") or "Error"))),
            "evalue": self._mask.text(clean(_shortened(str(content.get("evalue") or "")))),
            "traceback": [clean(line) for line in masked],
        }

    def finish(self, outputs: list[Output]) -> str | None:
        """The cell ended: complete its outputs; gives the spill file's path in the step's folder, if there is one."""
        self.flush(outputs)
        for output in outputs:
            if output.get("output_type") == "stream":
                output["text"] = without_overwritten(output["text"])
        files = [file for file in (self._text_file, self._shown_file) if file is not None]
        for file in files:
            file.close()
        if not files:
            return None
        kept = _readable(self._cap_bytes)
        paths = [f"{self._spill.parent.name}/{os.path.basename(file.name)}" for file in files]
        places = f"{' and '.join(paths)} in the step's folder of the run"
        notice = f"[nbci] the cell's output is over {kept} or {MOST_OUTPUTS} pieces: it continues in {places}\n"
        outputs.append(_stream("stderr", self._mask.text(notice)))
        self._said(self._mask.text(notice), "stderr")
        return paths[0]

    def _keep_text(self, outputs: list[Output], name: str, text: str) -> None:
        if not text:
            return
        text = clean(text)
        if self._text_file is not None:
            self._text_file.write(text)
        room = self._cap_bytes - self._kept_bytes
        size = len(text) if text.isascii() else len(text.encode())
        starts = self._open is None or self._open[0]["name"] != name
        if size > room or (starts and len(outputs) >= MOST_OUTPUTS):
            if self._text_file is None:
                self._begin_spill(outputs, text)
            text = (
                "" if starts and len(outputs) >= MOST_OUTPUTS else text.encode()[: max(room, 0)].decode(errors="ignore")
            )
            size = self._cap_bytes - self._kept_bytes
        self._kept_bytes += size
        if text:
            self._append(outputs, name, text, starts=starts)
            self._said(text, "stderr" if name == "stderr" else "stdout")

    def _append(self, outputs: list[Output], name: str, text: str, *, starts: bool) -> None:
        if starts or self._open is None or not any(output is self._open[0] for output in outputs[-1:]):
            self._close_text()
            self._open = (_stream(name, ""), [])
            outputs.append(self._open[0])
        self._open[1].append(text)

    def _close_text(self) -> None:
        if self._open is not None:
            self._open[0]["text"] += "".join(self._open[1])
            self._open = None

    def _begin_spill(self, outputs: list[Output], text: str) -> None:
        """Start the spill file with all that was printed before, so that it holds the whole."""
        self._text_file = self._open_spill(".txt")
        for output in outputs:
            if output.get("output_type") == "stream":
                is_open = self._open is not None and output is self._open[0]
                self._text_file.write(output["text"])
                if is_open and self._open is not None:
                    self._text_file.write("".join(self._open[1]))
        self._text_file.write(text)

    def _open_spill(self, suffix: str) -> IO[str]:
        path = self._spill.with_name(self._spill.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8")


def _stream(name: str, text: str) -> Output:
    from nbformat.v4 import new_output

    output: Output = new_output("stream", name=name if name in ("stdout", "stderr") else "stdout", text=text)
    return output


def clean(text: str) -> str:
    """`text` without lone surrogates, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def without_overwritten(text: str) -> str:
    """`text` as a terminal would leave it: of a line with carriage returns, what was written last."""
    if "\r" not in text:
        return text
    return "\n".join(_last_written(line) for line in text.split("\n"))


def _last_written(line: str) -> str:
    body = line.rstrip("\r")
    return body[body.rfind("\r") + 1 :]


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TRACEBACK:
        return text
    half = LONGEST_TRACEBACK // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


def _readable(size: int) -> str:
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"
