"""LaTeX formulas as MathML; what no formula can be made of stays the text it is."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from nbci.formatting.text import clean
from nbci.report.html.markup import Markup, element, escaped, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_LIMIT = 5_000
_TEXT_LIMIT = 10_000
_TAGS = frozenset(
    (
        "math menclose mfenced mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace"
        " msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none"
    ).split()
)
_ATTRIBUTES = frozenset(
    (
        "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence form height"
        " largeop linethickness lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace"
        " scriptlevel separator stretchy symmetric voffset width"
    ).split()
)
_VALUE = re.compile(r"[A-Za-z0-9.,%+ -]{1,60}")
# Environments of text, tables and drawings: the library has no MathML for them.
_SAID_AS_TEXT = re.compile(
    r"\\begin\s*\{(?:tabular|table|figure|itemize|enumerate|center|tikzpicture|document)"
)
_FORMULA = re.compile(
    r"\$\$(?P<block>.+?)\$\$|(?<!\\)\$(?P<inline>[^$]+?)(?<!\\)\$|\\\[(?P<shown>.+?)\\\]|\\\((?P<within>.+?)\\\)"
    r"|(?P<whole>\\begin\{(?P<kind>[a-zA-Z]+\*?)\}.+?\\end\{(?P=kind)\})",
    re.DOTALL,
)


def mathml(latex: str, *, block: bool) -> Markup | None:
    """Return the formula as MathML; None if the LaTeX cannot be read completely.

    A result that leaves LaTeX commands in it unread counts as not read.
    """
    if len(latex) > _LIMIT or _SAID_AS_TEXT.search(latex):
        return None
    from latex2mathml.converter import convert_to_element

    try:
        tree = convert_to_element(latex.strip(), display="block" if block else "inline")
        written = Markup("".join(_written(tree)))
    # The parser raises many kinds for bad input: IndexError, RecursionError, its own errors.
    except Exception:  # noqa: BLE001
        return None
    # A backslash left over belongs to a command that the library passed through as text.
    return None if "\\" in re.sub(r'alttext="[^"]*"', "", written) else written


def _written(node: Element) -> Iterator[str]:
    """Serialise the MathML here instead of in the library.

    The library unescapes what it serialises, which would let markup through.
    """
    tag = node.tag.rpartition("}")[2]
    if tag not in _TAGS:
        raise ValueError(tag)
    kept = "".join(
        f' {name}="{value}"'
        for name, value in node.attrib.items()
        if name in _ATTRIBUTES and _VALUE.fullmatch(value)
    )
    yield f"<{tag}{kept}>"
    yield _text(node.text)
    for child in node:
        yield from _written(child)
        yield _text(child.tail)
    yield f"</{tag}>"


def _text(text: str | None) -> str:
    """Return the text escaped; the library holds characters as references."""
    return escaped(clean(html.unescape(text))) if text else ""


def from_latex(source: str) -> Markup | None:
    """Return text with formulas in any of LaTeX's delimiters.

    None where one of the formulas cannot be read, or there is none.
    """
    if len(source) > _TEXT_LIMIT:
        return None
    parts: list[Markup] = []
    at = 0
    for found in _FORMULA.finditer(source):
        block = bool(found["block"] or found["shown"] or found["whole"])
        latex = next(
            text for text in found.group("block", "inline", "shown", "within", "whole") if text
        )
        shown = mathml(latex, block=block)
        if shown is None:
            return None
        parts += [escaped(source[at : found.start()]), shown]
        at = found.end()
    rest = source[at:]
    # A backslash outside the formulas is LaTeX that would be shown as raw text.
    if not parts or "\\" in rest:
        return None
    return element("div", fragment(*parts, rest), class_="math")
