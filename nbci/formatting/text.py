"""Text as people see it: cleaned of what no encoding or markup can hold, shortened, and numbers in
words.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.formatting.plain import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINUS = "\N{MINUS SIGN}"

# What XML 1.0 forbids, HTML calls a parse error, and UTF-8 cannot encode (lone surrogates).
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n"})
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\^_]"
)


def clean(text: str) -> str:
    """The text with everything that cannot be shown replaced by U+FFFD; line ends become newlines."""
    if is_plain(text, _CONTROLS):
        return text
    return _UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def without_ansi(text: str) -> str:
    """The text without terminal escape sequences."""
    return _ESCAPE_SEQUENCES.sub("", text) if "\x1b" in text else text


def joined(value: object) -> str:
    """A multiline string of nbformat, which is a string or a list of strings; anything else as
    JSON.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return as_json(value)


def as_json(value: object, *, indent: int | None = None) -> str:
    """The value as JSON for reading; what JSON does not know is shown by `str`."""
    return json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def as_printed(text: str) -> str:
    """What a terminal would show of each line after carriage returns (progress bars) have
    overwritten it.
    """
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def one_line(text: str, limit: int = 80) -> str:
    """The text on one line, no longer than `limit` characters; nothing in it turns what follows the
    other way round.
    """
    line = " ".join(_TURNING.sub("\ufffd", text[: 10 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A text of which the middle may be missing; `left_out` counts the characters of that middle."""

    head: str
    tail: str = ""
    left_out: int = 0


def shortened(text: str, limit: int) -> Shortened:
    """At most `limit` characters of the text: three quarters from its start, the rest from its end."""
    if len(text) <= limit:
        return Shortened(head=text)
    tail = limit // 4
    return Shortened(head=text[: limit - tail], tail=text[-tail:], left_out=len(text) - limit)


def ending(text: str, limit_bytes: int) -> str:
    """The end of the text, at most `limit_bytes` of UTF-8, with a first line that says so when
    something is missing.
    """
    encoded = clean(text).encode()
    if len(encoded) <= limit_bytes:
        return encoded.decode()
    return "… the beginning is left out …\n" + encoded[-(limit_bytes - 40) :].decode(
        errors="ignore"
    )


def number(value: float) -> str:
    """A metric's value in six significant digits; NaN and the infinities by name."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"


def rough(value: float) -> str:
    """A difference of two values in four significant digits: what is left of a subtraction has no
    more.
    """
    return number(float(f"{value:.4g}"))


def measured(value: float, unit: str | None) -> str:
    """A metric's value with its unit; a ratio is just a number."""
    return f"{number(value)} {unit}" if unit and unit != "ratio" else number(value)


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them; nothing for None."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def listed(names: Sequence[str], most: int) -> str:
    """`a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def counted(count: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment(utc: str | None) -> str:
    """A record's time as `2026-01-02 03:04:05 UTC`; anything that is no such time stays as it is."""
    if utc is None:
        return ""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)?", utc)
    return f"{match[1]} {match[2]} UTC" if match else utc


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name without suffix for each name: portable, short, and different also where case does
    not count.
    """
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name.replace("/", "__"))[:100].lstrip(".") or "step"
        candidate, count = stem, 1
        while candidate.casefold() in taken:
            count += 1
            candidate = f"{stem}-{count}"
        taken.add(candidate.casefold())
        result[name] = candidate
    return result


def stream_text(outputs: Sequence[Any]) -> str:
    """Everything that outputs say in plain text, in order: what was printed, shown and raised."""
    parts: list[str] = []
    for output in outputs:
        if not isinstance(output, dict):
            continue
        match output.get("output_type"):
            case "stream":
                parts.append(as_printed(joined(output.get("text", ""))))
            case "error":
                parts.append("\n".join(str(line) for line in output.get("traceback") or []) + "\n")
            case _:
                data = output.get("data")
                if isinstance(data, dict) and "text/plain" in data:
                    parts.append(joined(data["text/plain"]) + "\n")
    return without_ansi("".join(parts))
