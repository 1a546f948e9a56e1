"""One cell's outputs as HTML, and the pictures in them as files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.report.ansi import coloured
from nbci.report.markup import Markup, element, folded, fragment
from nbci.report.pictures import SUFFIXES, picture
from nbci.report.text import as_json, as_printed, counted, joined, one_line, shortened, without_ansi
from nbci.report.untrusted import filtered, from_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INLINE_LIMIT = 100_000
_FOLD_LINES = 40
_FOLD_CHARACTERS = 8_000
_STATIC = (*SUFFIXES, "text/markdown", "text/latex", "application/json", "text/plain")
_RECORDS = "application/scrapbook.scrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlace:
    """Where outputs are shown: `images` is the folder of the pictures, `root` leads from the page to the report."""

    images: str
    root: str
    describes: str
    notebook: str
    unfolded: bool = False


@dataclass(slots=True)
class _Rendering:
    place: OutputPlace
    files: dict[str, bytes] = field(default_factory=dict)

    def output(self, at: int, output: Mapping[str, Any]) -> Markup | None:
        match output.get("output_type"):
            case "stream":
                return self.stream(str(output.get("name", "stdout")), joined(output.get("text", "")))
            case "error":
                return self.error(output)
            case "display_data" | "execute_result" | "update_display_data" | "pyout":
                data, metadata = output.get("data"), output.get("metadata")
                return self.data(
                    at, data if isinstance(data, dict) else {}, metadata if isinstance(metadata, dict) else {}
                )
        return None

    def stream(self, name: str, text: str) -> Markup:
        label = "Standard error" if name == "stderr" else "Output"
        return self.text(as_printed(text), class_=f"stream {'stderr' if name == 'stderr' else 'stdout'}", label=label)

    def error(self, output: Mapping[str, Any]) -> Markup:
        lines = [str(line) for line in output.get("traceback") or []]
        text = "\n".join(lines) or f"{output.get('ename')}: {output.get('evalue')}"
        return self.text(text, class_="stream error", label="Error", is_open=True)

    def data(self, at: int, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Markup | None:
        if any(mime.startswith(_RECORDS) for mime in data) and "text/plain" not in data:
            return None
        if shown := self.table(data):
            return shown
        for mime in _STATIC:
            if mime in data and (shown := self.static(at, mime, data[mime], metadata.get(mime))):
                return fragment(shown, self.lost(data))
        return self.lost(data) or element("p", "This output is empty.", class_="note")

    def table(self, data: Mapping[str, Any]) -> Markup | None:
        source = joined(data["text/html"]) if "text/html" in data else ""
        shown = filtered(source) if 0 < len(source) <= INLINE_LIMIT else None
        label = "Table" if shown and "<table" in shown else "Output"
        return shown and element("div", shown, class_="rich scroll", tabindex=0, role="region", aria_label=label)

    def static(self, at: int, mime: str, value: object, metadata: object) -> Markup | None:
        if mime in SUFFIXES:
            return self.image(at, mime, joined(value), metadata if isinstance(metadata, dict) else {})
        if mime == "text/markdown":
            source = joined(value)
            if len(source) > INLINE_LIMIT:
                return self.text(source, class_="result", label="Markdown")
            return element("div", from_markdown(source), class_="rich prose")
        text = as_json(value, indent=1) if mime == "application/json" else joined(value)
        return self.text(text, class_="result", label="Result") if text else None

    def image(self, at: int, mime: str, data: str, metadata: Mapping[str, Any]) -> Markup | None:
        content = picture(mime, data)
        if content is None:
            return None
        path = f"{self.place.images}-{at}.{SUFFIXES[mime]}"
        self.files[path] = content
        alt = metadata.get("alt")
        width, height = (_pixels(metadata.get(side)) for side in ("width", "height"))
        described = alt if isinstance(alt, str) and alt else f"Figure made by {self.place.describes}"
        return element(
            "figure",
            element("img", src=f"{self.place.root}{path}", alt=one_line(described, 200), width=width, height=height),
        )

    def lost(self, data: Mapping[str, Any]) -> Markup | None:
        """A line on the forms of this output that a page without scripts cannot show."""
        broken = [mime for mime in SUFFIXES if mime in data and not picture(mime, joined(data[mime]))]
        if broken:
            return self.note(f"The picture ({', '.join(broken)}) cannot be read")
        lively = [mime for mime in data if mime not in _STATIC and not mime.startswith(_RECORDS)]
        if lively:
            return self.note(f"Not shown here: {', '.join(one_line(mime) for mime in lively)}")
        return None

    def note(self, text: str) -> Markup:
        return element("p", f"{text}; it is in ", element("code", self.place.notebook), ".", class_="note")

    def text(self, text: str, *, class_: str, label: str, is_open: bool = False) -> Markup:
        short = shortened(text, INLINE_LIMIT)
        shown: list[str] = [element("pre", coloured(short.head), class_=class_)]
        if short.left_out:
            shown.append(self.note(f"{counted(short.left_out, 'character')} of this output are left out"))
            shown.append(element("pre", coloured(short.tail), class_=class_))
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines <= _FOLD_LINES and len(text) <= _FOLD_CHARACTERS:
            return fragment(*shown)
        last = one_line(without_ansi(text[-2000:].rstrip().rpartition("\n")[2]), 60)
        summary = f"{label}: {counted(lines, 'line')}" + (f", the last: {last}" if last else "")
        return folded(summary, *shown, is_open=is_open or self.place.unfolded)


def _pixels(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 10_000 else None


def rendered(outputs: Sequence[Any], place: OutputPlace) -> tuple[Markup, dict[str, bytes]]:
    """The outputs in order, and the files that they show: path in the report to content."""
    rendering = _Rendering(place)
    shown = [rendering.output(at, output) for at, output in enumerate(outputs, 1) if isinstance(output, dict)]
    return fragment(*shown), rendering.files
