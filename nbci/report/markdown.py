"""Write Markdown in which no text from a notebook acts as markup.

It is for comments on GitHub and GitLab.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from nbci.formatting.text import clean, short_line, without_ansi

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_ITEM = 500


def prose(text: str) -> str:
    """Return text on one line with every character escaped that has a meaning.

    That is a meaning to Markdown or HTML, or as a mention or reference.
    """
    line = " ".join(clean(without_ansi(text)).split())
    # A space of no width after them keeps names and numbers from becoming mentions and references.
    line = re.sub(r"([@#!$%~])(?=\w)", "\\1\u200b", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$^=-])", r"\\\1", line)


def code(text: str, limit: int = 300) -> str:
    """Text as code on one line, also inside a table."""
    line = short_line(clean(without_ansi(text)), limit)
    if re.fullmatch(r"[^`|\\<>&]+", line):
        return f"`{line}`"
    return (
        "<code>" + re.sub(r"[^\w\s]|_", lambda match: f"&#{ord(match[0])};", line) + "</code>"
        if line
        else ""
    )


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code behind a fence that is longer than any in it."""
    shown = clean(without_ansi(text)).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def link(words: str, address: str) -> str:
    """Return a link; the caller checks the address."""
    return f"[{prose(words)}]({_address(address)})"


def image(alt: str, address: str) -> str:
    """A picture, which says what it shows where it cannot be had."""
    return f"![{prose(alt)}]({_address(address)})"


def section(title: str, content: str) -> str:
    """Content under a heading; nothing where there is none."""
    return f"### {title}\n\n{content}" if content else ""


def details(title: str, content: str) -> str:
    """Content that a click on the title unfolds."""
    return f"<details><summary>{prose(title)}</summary>\n\n{content}\n\n</details>"


def bullets(items: Sequence[str], most: int) -> str:
    """A list of texts; of too many, how many more there are."""
    shown = [f"- {prose(short_line(item, _LONGEST_ITEM))}" for item in items[:most]]
    return "\n".join([*shown, *_more(len(items), most)])


def table(heads: Sequence[str], rows: Sequence[Iterable[str]], most: int) -> str:
    """A table of Markdown; of too many rows, how many more there are."""
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows[:most]]
    shown = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join([shown, *_more(len(rows), most)])


def _more(count: int, most: int) -> list[str]:
    return (
        [f"… and {count - most} more; `index.html` of the report has them all."]
        if count > most
        else []
    )


def _address(address: str) -> str:
    return quote(clean(address), safe=":/?#@!$&'*+,;=%~")
