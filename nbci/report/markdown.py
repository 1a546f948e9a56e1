"""Write Markdown in which no text from a notebook acts as markup.

It is for comments on GitHub and GitLab.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from nbci.formatting.numbers import and_more
from nbci.formatting.text import clean, short_line, without_ansi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_ITEM = 500
_PLAIN_IN_CODE = re.compile(r"[^`|\\<>&]+")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$^=-])")
_BEFORE_NAMES = re.compile(r"([@#!$%~])(?=\w)")
"""What makes a mention or a reference of the word behind it."""
_ZERO_WIDTH_SPACE = "\u200b"


def prose(text: str) -> str:
    """Return text on one line with every character escaped that has a meaning.

    That is a meaning to Markdown or HTML, or as a mention or reference.
    """
    line = " ".join(clean(without_ansi(text)).split())
    # No backslash keeps GitHub from mentions, which would notify people.
    line = _BEFORE_NAMES.sub(rf"\1{_ZERO_WIDTH_SPACE}", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", line)


def code(text: str, limit: int = 300) -> str:
    """Text as code on one line, also inside a table."""
    line = short_line(clean(without_ansi(text)), limit)
    if not line:
        return ""
    if _PLAIN_IN_CODE.fullmatch(line):
        return f"`{line}`"
    # Between backticks, a `|` would still end a table's cell, and nothing can be escaped.
    escaped = re.sub(r"[^\w\s]|_", lambda match: f"&#{ord(match[0])};", line)
    return f"<code>{escaped}</code>"


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code."""
    shown = clean(without_ansi(text)).rstrip("\n")
    # A fence ends at the first one that is at least as long:
    # https://spec.commonmark.org/0.31.2/#fenced-code-blocks
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def link(words: str, address: str) -> str:
    """Return a link; the caller checks the address."""
    return f"[{prose(words)}]({_address(address)})"


def image(alt: str, address: str) -> str:
    """A picture, which says what it shows where it cannot be had."""
    return f"![{prose(alt)}]({_address(address)})"


def section(title: str, content: str) -> str:
    """Content under a heading; nothing where there is none."""
    if not content:
        return ""
    return f"### {title}\n\n{content}"


def details(title: str, content: str) -> str:
    """Content that a click on the title unfolds."""
    # Without the blank lines, the content would be taken for HTML.
    return f"<details><summary>{prose(title)}</summary>\n\n{content}\n\n</details>"


def bullets(items: Sequence[str], most: int) -> str:
    """A list of texts; of too many, how many more there are."""
    lines = [f"- {prose(short_line(item, _LONGEST_ITEM))}" for item in items[:most]]
    if len(items) > most:
        lines.append(_left_out(len(items), most))
    return "\n".join(lines)


def table(heads: Sequence[str], rows: Sequence[Iterable[str]], most: int) -> str:
    """A table of Markdown; of too many rows, how many more there are."""
    if not rows:
        return ""
    lines = (heads, ["---"] * len(heads), *rows[:most])
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if len(rows) <= most:
        return shown
    return f"{shown}\n\n{_left_out(len(rows), most)}"


def _left_out(total: int, shown: int) -> str:
    return f"…{and_more(total, shown)}; `index.html` of the report has them all."


def _address(address: str) -> str:
    """A bracket or a space in it would end the link."""
    return quote(clean(address), safe=":/?#@!$&'*+,;=%~")
