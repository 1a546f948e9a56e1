"""Turn LaTeX formulas into MathML; what cannot be read as a formula stays text."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from nbci.formatting.text import clean
from nbci.report.html.markup import Markup, element, escape, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

# The library's time grows faster than the length of what it reads.
_LIMIT = 5_000
_TEXT_LIMIT = 10_000
_TAGS = frozenset(
    (
        "math menclose mfenced mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts"
        " mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder"
        " munderover none"
    ).split()
)
_ATTRIBUTES = frozenset(
    (
        "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence"
        " form height largeop linethickness lspace mathvariant maxsize minsize movablelimits"
        " notation rowlines rowspacing rspace scriptlevel separator stretchy symmetric voffset"
        " width"
    ).split()
)
_VALUE = re.compile(r"[A-Za-z0-9.,%+ -]{1,60}")
# Environments of text, tables and drawings: the library has no MathML for them.
_TEXT_ENVIRONMENTS = re.compile(
    r"\\begin\s*\{(?:tabular|table|figure|itemize|enumerate|center|tikzpicture|document)"
)
_FORMULA = re.compile(
    r"\$\$(?P<block>.+?)\$\$|(?<!\\)\$(?P<inline>[^$]+?)(?<!\\)\$"
    r"|\\\[(?P<shown>.+?)\\\]|\\\((?P<within>.+?)\\\)"
    r"|(?P<whole>\\begin\{(?P<kind>[a-zA-Z]+\*?)\}.+?\\end\{(?P=kind)\})",
    re.DOTALL,
)


def mathml(latex: str, *, block: bool) -> Markup | None:
    """The formula as MathML; None if the LaTeX cannot be read completely.

    A result that leaves LaTeX commands in it unread counts as not read.
    """
    if len(latex) > _LIMIT or _TEXT_ENVIRONMENTS.search(latex):
        return None
    from latex2mathml.converter import convert_to_element

    display = "inline"
    if block:
        display = "block"
    try:
        tree = convert_to_element(latex.strip(), display=display)
        written = Markup("".join(_serialise(tree)))
    # The parser raises many kinds for bad input: IndexError, RecursionError, its own errors.
    except Exception:  # noqa: BLE001
        return None
    # A backslash left over belongs to a command that the library passed through as text.
    if "\\" in re.sub(r'alttext="[^"]*"', "", written):
        return None
    return written


def _serialise(node: Element) -> Iterator[str]:
    """Serialise the MathML here instead of in the library.

    The library unescapes what it serialises, which would let markup through.
    """
    tag = node.tag.rpartition("}")[2]
    if tag not in _TAGS:
        raise ValueError(tag)
    kept: list[str] = []
    for name, value in node.attrib.items():
        if name in _ATTRIBUTES and _VALUE.fullmatch(value):
            kept.append(f' {name}="{value}"')
    yield f"<{tag}{''.join(kept)}>"
    yield _text(node.text)
    for child in node:
        yield from _serialise(child)
        yield _text(child.tail)
    yield f"</{tag}>"


def _text(text: str | None) -> str:
    """The text escaped; the library holds characters as references."""
    return escape(clean(html.unescape(text or "")))


def from_latex(source: str) -> Markup | None:
    """Text with formulas in any of LaTeX's delimiters.

    None where one of the formulas cannot be read, or there is none.
    """
    if len(source) > _TEXT_LIMIT:
        return None
    parts: list[Markup] = []
    at = 0
    for found in _FORMULA.finditer(source):
        block = bool(found["block"] or found["shown"] or found["whole"])
        # Exactly one of the groups matches.
        latex = next(filter(None, found.group("block", "inline", "shown", "within", "whole")))
        formula = mathml(latex, block=block)
        if formula is None:
            return None
        parts += [escape(source[at : found.start()]), formula]
        at = found.end()
    rest = source[at:]
    # A backslash outside the formulas is LaTeX that would be shown as raw text.
    if not parts or "\\" in rest:
        return None
    return element("div", fragment(*parts, rest), class_="math")
