"""Text as people see it: cleaned of what no encoding or markup can hold, and shortened."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.formatting.plain import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What XML 1.0 forbids, HTML calls a parse error, and UTF-8 cannot encode (lone surrogates).
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_CONTROL_BYTES = bytes({*range(0x20), 0x7F} - {*b"\t\n"})
# Embeddings, overrides and isolates of UAX #9: what follows would be read right to left.
_BIDIRECTIONAL = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\^_]"
)
_BEGINNING_LEFT_OUT = "… the beginning is left out …\n"
_NOT_PORTABLE = re.compile(r"[^A-Za-z0-9._-]")


def clean(text: str) -> str:
    """The text with what cannot be shown replaced by U+FFFD, and line ends as newlines."""
    if is_plain(text, _CONTROL_BYTES):
        return text
    return _UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def without_ansi(text: str) -> str:
    """The text without terminal escape sequences."""
    if "\x1b" not in text:
        return text
    return _ESCAPE_SEQUENCES.sub("", text)


def multiline_string(value: object) -> str | None:
    """A multiline string of nbformat 4: a string or a list of strings; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return None


def joined_lines(value: object) -> str:
    """A multiline string of nbformat as text; anything else as JSON."""
    text = multiline_string(value)
    if text is None:
        # Outputs come from kernels of all kinds: what is no text must not stop a report.
        return as_json(value)
    return text


def text_of_lines(lines: Iterable[str]) -> str:
    """The lines as one text, in which each of them ends with a newline."""
    return "".join(f"{line}\n" for line in lines)


def indented(lines: Iterable[str], start: str = "  ") -> list[str]:
    """The lines, each behind the same spaces or marks."""
    return [f"{start}{line}" for line in lines]


def as_json(value: object, *, indent: int | None = None) -> str:
    """The value as JSON for reading; what JSON does not know is shown by `str`."""
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def as_printed(text: str) -> str:
    """What a terminal shows of each line once carriage returns (progress bars) overwrote it."""
    # Most text has none, and splitting it costs time.
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def short_line(text: str, limit: int = 80) -> str:
    """The text on one line of at most `limit` characters, without marks of writing direction."""
    # Ten times the limit leaves room for white space and keeps long outputs cheap.
    line = " ".join(_BIDIRECTIONAL.sub("\ufffd", text[: 10 * limit]).split())
    if len(line) <= limit:
        return line
    return line[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A text whose middle may be missing; `left_out` counts the characters of that middle."""

    head: str
    tail: str = ""
    left_out: int = 0


def shorten(text: str, limit: int) -> Shortened:
    """At most `limit` characters of the text: three quarters from its start, the rest its end."""
    if len(text) <= limit:
        return Shortened(head=text)
    tail = limit // 4
    return Shortened(head=text[: limit - tail], tail=text[-tail:], left_out=len(text) - limit)


def last_part(text: str, limit_bytes: int) -> str:
    """The end of the text, at most `limit_bytes` of UTF-8; a first line says if more is missing."""
    encoded = clean(text).encode()
    if len(encoded) <= limit_bytes:
        return encoded.decode()
    # 40 bytes hold the first line; the cut may go through a character, hence "ignore".
    return _BEGINNING_LEFT_OUT + encoded[-(limit_bytes - 40) :].decode(errors="ignore")


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A portable file name without suffix for each name, all different whatever their case."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        portable = _NOT_PORTABLE.sub("_", name.replace("/", "__"))
        stem = portable[:100].lstrip(".") or "step"

        candidate, count = stem, 1
        # The file systems of macOS and Windows take names that differ in case for one.
        while candidate.casefold() in taken:
            count += 1
            candidate = f"{stem}-{count}"
        taken.add(candidate.casefold())
        result[name] = candidate
    return result


def outputs_text(outputs: Sequence[Any]) -> str:
    """Everything that a cell's outputs say in plain text, in order."""
    texts = [_output_text(output) for output in outputs if isinstance(output, dict)]
    return without_ansi("".join(texts))


def _output_text(output: Mapping[str, Any]) -> str:
    match output.get("output_type"):
        case "stream":
            return as_printed(joined_lines(output.get("text", "")))
        case "error":
            return "\n".join(map(str, output.get("traceback") or [])) + "\n"
    data = output.get("data")
    if isinstance(data, dict) and "text/plain" in data:
        return joined_lines(data["text/plain"]) + "\n"
    return ""
