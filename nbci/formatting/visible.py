"""Find what a person sees of a text without terminal codes, markup and escapes.

Each view of a text knows where in the text its parts come from.
"""

from __future__ import annotations

import codecs
import html
import re
from bisect import bisect_right
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Piece = tuple[int, int, int]

# ECMA-48, 5.4: control sequences; 5.6: strings such as titles and links, as xterm ends them
_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\xad"
    "\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+"
)
_MOVING = re.compile(r"[\b\r]|\x1b\[\d*[CDGK]")
_ON_A_TERMINAL = re.compile(
    r"\x1b\[(?P<count>\d*)(?P<move>[CDGK])|(?P<control>[\b\r\n])|(?P<code>" + _CODES.pattern + ")"
)
_MARKUP = re.compile(
    r"<(?:(script|style|template)\b[^<>]*>.*?</\1\s*>|!--.*?-->|/?[a-zA-Z][^<>]*>)"
    r"|&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);?",
    re.DOTALL,
)
_ESCAPED = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*|u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*"
    r"|U[0-9a-fA-F]{8}|[0-7]{3}|.)",
    re.DOTALL,
)
_QUOTED = re.compile("%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*")
_BREAK = re.compile(r"\n(?=[A-Za-z0-9+/=]|\Z)")
_UNFINISHED = re.compile(
    r"(?:\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\n]*)?"
    r"|&#?\w{0,31}|\\[uUx]?\w{0,8}|%[0-9a-fA-F]?|<[^<>]*)\Z"
)
_PLAIN_ESCAPES = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "a": "\a",
    "0": "\0",
}
_WRAPPED = frozenset({64, 65, 76, 77})
"""Lengths of base64's lines in PEM (RFC 7468) and MIME (RFC 2045), also with a carriage return."""
_ESCAPE = "\x1b"
# All control characters of ASCII but for tabs, newlines and the escape that begins codes.
_CONTROLS = tuple(map(chr, {*range(32), 127} - set(b"\t\n\x1b")))
_CODE_CHARACTERS = ("\\", "<", "&", "%")
_LONGEST_CODE = 4096
_DEEPEST = 4
_MOST = 24


class View:
    """A text as it is seen in one way.

    It knows where each part of it is in the original text, or in the view that it was made from.
    """

    __slots__ = ("_at", "_make_pieces", "_pieces", "_under", "text")

    def __init__(
        self,
        text: str,
        under: View | None = None,
        make_pieces: Callable[[], list[Piece]] | None = None,
    ) -> None:
        """Note the text; `make_pieces` is called only when a place is asked for.

        A piece is where it begins in this view, and where it begins and ends in the view below.
        """
        self.text = text
        self._under = under
        self._make_pieces = make_pieces
        self._pieces: list[Piece] | None = None
        self._at: list[int] = []

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original text that is seen from `start` to `end`, which is after it."""
        if self._under is None or self._make_pieces is None:
            return start, end
        if self._pieces is None:
            self._pieces = self._make_pieces()
            self._at = [seen for seen, _, _ in self._pieces]
        first, last = bisect_right(self._at, start) - 1, bisect_right(self._at, end - 1) - 1
        begins: list[int] = []
        ends: list[int] = []
        # Cursor movements mix the order: any of the pieces may be the first below.
        for number in range(first, last + 1):
            begins.append(self._place(number, start)[0])
            ends.append(self._place(number, end - 1)[1])
        return self._under.span(min(begins), max(ends))

    def _place(self, number: int, at: int) -> tuple[int, int]:
        """Where the character stands if it is in this piece; else where the whole piece does."""
        pieces = self._pieces or []
        seen, begin, finish = pieces[number]
        next_seen = len(self.text)
        if number + 1 < len(pieces):
            next_seen = pieces[number + 1][0]
        length = next_seen - seen
        # A piece of the same length is unchanged; a decoded one has no places within it.
        if length == finish - begin and 0 <= at - seen < length:
            return begin + at - seen, begin + at - seen + 1
        return begin, finish


def views(text: str) -> Iterator[View]:
    """The other ways in which the text may be seen.

    In each, one kind of code is taken away or decoded, also codes of one kind within another.
    """
    if not _is_special(text):
        return
    known = {text}
    last = [View(text)]
    for _ in range(_DEEPEST):
        following = []
        for view, way in product(last, _WAYS):
            found = way(view)
            if found is None or found.text in known:
                continue
            known.add(found.text)
            following.append(found)
            yield found
            # Codes within codes multiply the views, and each is searched for all secrets.
            if len(known) > _MOST:
                return
        last = following


def unfinished_code_length(text: str) -> int:
    """How many characters at the end of the text may be the beginning of a code."""
    found = _UNFINISHED.search(text, max(0, len(text) - _LONGEST_CODE))
    if found is None:
        return 0
    return len(text) - found.start()


def has_codes(text: str) -> bool:
    """Whether the text may have escapes of strings, URLs or markup."""
    return _contains_any(text, _CODE_CHARACTERS)


def _is_special(text: str) -> bool:
    return has_codes(text) or _has_invisible(text) or _ESCAPE in text or _is_wrapped(text)


def _has_invisible(text: str) -> bool:
    return not text.isascii() or _contains_any(text, _CONTROLS)


def _contains_any(text: str, characters: Iterable[str]) -> bool:
    # As many scans in C as there are characters: quicker than one look at each character.
    return any(character in text for character in characters)


def _is_wrapped(text: str) -> bool:
    return "\n" in text and not _WRAPPED.isdisjoint(map(len, text.split("\n")))


def _without_codes(view: View) -> View | None:
    if _ESCAPE not in view.text:
        return None
    return _replace(view, _CODES, _as_nothing)


def _without_invisible(view: View) -> View | None:
    if not _has_invisible(view.text):
        return None
    return _replace(view, _INVISIBLE, _as_nothing)


def _without_markup(view: View) -> View | None:
    if "<" not in view.text and "&" not in view.text:
        return None
    return _replace(view, _MARKUP, _text_of_markup)


def _without_escapes(view: View) -> View | None:
    if "\\" not in view.text:
        return None
    return _replace(view, _ESCAPED, _unescape)


def _without_quotes(view: View) -> View | None:
    if "%" not in view.text:
        return None
    return _replace(view, _QUOTED, _unquote)


def _without_breaks(view: View) -> View | None:
    if not _is_wrapped(view.text):
        return None
    return _replace(view, _BREAK, _as_nothing)


def _replace(
    view: View, pattern: re.Pattern[str], seen: Callable[[re.Match[str]], str]
) -> View | None:
    """The view with each match of the pattern replaced by what is seen of it.

    None where the pattern finds nothing.
    """
    # With a text in place of a function, `re` calls no Python for each match.
    replacement: str | Callable[[re.Match[str]], str] = seen
    if seen is _as_nothing:
        replacement = ""
    shown, count = pattern.subn(replacement, view.text)
    if not count:
        return None

    def pieces() -> list[Piece]:
        made: list[Piece] = []
        at = length = 0
        for found in pattern.finditer(view.text):
            start, end = found.span()
            if at < start:
                made.append((length, at, start))
            length += start - at
            text = seen(found)
            if text:
                made.append((length, start, end))
            length += len(text)
            at = end
        if at < len(view.text):
            made.append((length, at, len(view.text)))
        return made

    return View(shown, view, pieces)


def _as_nothing(found: re.Match[str]) -> str:
    return ""


def _text_of_markup(found: re.Match[str]) -> str:
    word = found[0]
    if word[0] == "<":
        return ""
    return html.unescape(word)


def _unquote(found: re.Match[str]) -> str:
    return unquote(found[0])


def _unescape(found: re.Match[str]) -> str:
    """The characters that an escape of JSON, Python's strings or its bytes (UTF-8) means."""
    word = found[0]
    if len(word) == 2:
        return _PLAIN_ESCAPES.get(word[1], word[1])
    if word[1] == "x":
        data = bytes.fromhex(word.replace("\\x", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    try:
        units = codecs.decode(word, "unicode_escape")
    except UnicodeDecodeError:  # no character has this number
        return word
    # JSON writes characters beyond U+FFFF as two surrogates, which UTF-16 makes one character.
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_on_a_terminal(view: View) -> View | None:
    """The view after its carriage returns, backspaces and movements within a line.

    None where it has none.
    """
    text = view.text
    if _MOVING.search(text) is None:
        return None
    screen = _Screen()
    at = 0
    for found in _ON_A_TERMINAL.finditer(text):
        screen.write(text, at, found.start())
        at = found.end()
        if found["control"] is not None:
            screen.control(found[0], found.start())
        elif found["move"] is not None:
            screen.move(found["move"], found["count"])
    screen.write(text, at, len(text))
    characters, places = screen.content()
    return View(
        "".join(characters), view, lambda: [(seen, at, at + 1) for seen, at in enumerate(places)]
    )


class _Screen:
    """The lines of a terminal that is as wide as it has to be.

    For each character it has the place in the text that it came from.
    """

    def __init__(self) -> None:
        self._done: tuple[list[str], list[int]] = [], []
        self._characters: list[str] = []
        self._places: list[int] = []
        self._column = 0

    def write(self, text: str, start: int, end: int) -> None:
        missing = self._column - len(self._characters)
        if missing > 0:
            self._characters += [" "] * missing
            self._places += [start] * missing
        after = self._column + end - start
        self._characters[self._column : after] = text[start:end]
        self._places[self._column : after] = range(start, end)
        self._column = after

    def control(self, character: str, at: int) -> None:
        if character == "\n":
            self._column = len(self._characters)
            self.write("\n", 0, 1)
            self._places[-1] = at
            self._end_line()
        elif character == "\r":
            self._column = 0
        else:
            self._column = max(0, self._column - 1)

    def move(self, direction: str, count: str) -> None:
        # Three digits: a program may print any number, and each step may cost a space.
        steps = int(count[:3] or 1)
        if direction == "C":
            self._column += steps
        elif direction == "D":
            self._column = max(0, self._column - steps)
        elif direction == "G":
            self._column = max(0, steps - 1)
        elif count in {"", "0"}:
            del self._characters[self._column :], self._places[self._column :]
        elif count == "2":
            self._characters = [" "] * len(self._characters)

    def content(self) -> tuple[list[str], list[int]]:
        self._end_line()
        return self._done

    def _end_line(self) -> None:
        self._done[0].extend(self._characters)
        self._done[1].extend(self._places)
        self._characters, self._places, self._column = [], [], 0


_WAYS = (
    *(_without_codes, _without_invisible, _as_on_a_terminal),
    *(_without_markup, _without_escapes, _without_quotes, _without_breaks),
)


def merge_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that touch or overlap made one.

    >>> merge_spans([(4, 6), (0, 2), (5, 9)])
    [(0, 2), (4, 9)]
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
