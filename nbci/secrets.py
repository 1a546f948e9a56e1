"""Remove the values of secrets from everything that is written or shown."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from itertools import filterfalse
from typing import TYPE_CHECKING, Any

from nbci.formatting.visible import has_codes, merge_spans, unfinished_code_length, views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SHORTEST = 4
"""In characters: shorter secrets are not masked, since masking them would blank out ordinary text.

Users who declare a shorter one are warned.
"""

STARS = "***"

_SHORTEST_ENCODED = 6
# Of what is shown already or still held back, so much is looked at again with each chunk.
_LINE_CHARACTERS = 1024
_TAIL_CHARACTERS = 4096
_SHORT_CODES = "\x1b&%\\"
_KEPT_CODES = re.compile(r"\x1b\[[\d;:]*m|</?[a-zA-Z][^<>]*>")
_CREDENTIAL = re.compile(
    r"(^|_)(api_?key|auth|credentials?|passw(or)?d|passphrase|pass|pat|pwd|secret|token)($|_)"
    r"|(access|account|private|signing)_?key($|_)",
    re.IGNORECASE,
)
# Such names (TOKEN_URL, PASSWORD_FILE) are of what belongs to a credential, not of one.
_NO_CREDENTIAL = re.compile(
    r"_(dir|endpoint|enabled|expir\w*|file|home|host|id|method|mode|name|path|sock|ttl|type|uri"
    r"|url|user|username)$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"^[a-z][a-z0-9+.-]*://[^\s/@:]*:([^\s/@]+)@", re.IGNORECASE)
_ORDINARY = re.compile(r"[a-z]{1,11}|\d{1,7}|(.)\1*|.{1,7}", re.IGNORECASE | re.DOTALL)


def credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """What looks like a credential in an environment, by the variable's name.

    Credentials are tokens, keys and passwords, also in URLs. A value that may well be an ordinary
    word or number is left out, since masking it would blank out ordinary text.
    """
    found = {}
    for name, value in environ.items():
        credential = _credential(name, value)
        if credential is not None and not _ORDINARY.fullmatch(credential):
            found[name] = credential
    return found


def _credential(name: str, value: str) -> str | None:
    in_url = _URL_PASSWORD.match(value)
    if in_url:
        return urllib.parse.unquote(in_url[1])
    if not _CREDENTIAL.search(name) or _NO_CREDENTIAL.search(name):
        return None
    # The path of the file that has the credential.
    if value.startswith("/"):
        return None
    return value


class Mask:
    """Replaces secrets by `***`, in the forms in which programs print and people see them.

    The forms are: plain, escaped as in JSON, Python and HTML, quoted for URLs, in hexadecimal, in
    base64 also as part of something longer (as in a header `Authorization: Basic`). They are looked
    for in the text as it is, and as it is seen once terminal codes, markup and escapes, of one kind
    within another, are removed (`nbci.formatting.visible`).
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets` are the values; those shorter than four characters are left out."""
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                forms |= _forms(secret)
        # The longest first, so that a form within another does not leave the rest of it visible.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._plain_forms = list(filterfalse(has_codes, self._forms))
        self._inner_characters: set[str] = set()
        for form in self._forms:
            self._inner_characters.update(form[:-1])

    @property
    def longest(self) -> int:
        """The number of characters of the longest form."""
        if not self._forms:
            return 0
        return len(self._forms[0])

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if not self._forms:
            return text
        text = self._without_plain(text)
        return _with_stars(text, self.find_hidden(text))

    def json(self, document: Any) -> Any:
        """A copy of a JSON document, every string in it masked, keys too."""
        if isinstance(document, str):
            return self.text(document)
        if isinstance(document, dict):
            return {self.text(str(key)): self.json(value) for key, value in document.items()}
        if isinstance(document, (list, tuple)):
            return list(map(self.json, document))
        return document

    def stream(self) -> StreamMask:
        """A masker for text that comes in chunks."""
        return StreamMask(self)

    def after(self, shown: str, text: str, hidden: Sequence[tuple[int, int]]) -> str:
        """`text` without secrets, and without what would complete a secret begun in `shown`.

        `hidden` are the places of secrets in both together, counted from the start of `shown`.
        """
        begin = len(shown)
        new = [(max(start, begin) - begin, end - begin) for start, end in hidden if end > begin]
        return self._without_plain(_with_stars(text, new))

    def unfinished_length(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a secret."""
        if text[-1:] not in self._inner_characters:
            return 0
        text = text[-self.longest :]
        longest = 0
        # Up to its first escape, a form begins as another without any does.
        for form in self._forms_for(text):
            tail = text[-(len(form) - 1) :]
            start = tail.find(form[0])
            while 0 <= start < len(tail) - longest:
                if form.startswith(tail[start:]):
                    longest = len(tail) - start
                    break
                start = tail.find(form[0], start + 1)
        return longest

    def find_cut(self, text: str, hidden: Sequence[tuple[int, int]]) -> int:
        """Where `text` may be cut.

        That is before a secret's possible beginning, and never within a whole secret.
        """
        end = len(text) - self.unfinished_length(text)
        # Where a code begins that the next chunk may complete.
        whole = len(text) - unfinished_code_length(text)
        if whole < len(text):
            end = min(end, whole - self.unfinished_length(text[:whole]))
            # A tag that has begun, `<`, is not held back: it may never end.
            if text[whole] in _SHORT_CODES:
                end = min(end, whole)

        start = max(0, whole - _TAIL_CHARACTERS)
        for view in views(text[start:whole]):
            seen = view.text
            for length in {len(seen), len(seen) - unfinished_code_length(seen)}:
                held = self.unfinished_length(seen[:length])
                if held:
                    begin, _ = view.span(length - held, length)
                    end = min(end, start + begin)
        return self._before_whole_ones(text, end, hidden)

    def _before_whole_ones(self, text: str, end: int, hidden: Sequence[tuple[int, int]]) -> int:
        """The end, moved before secrets that it would cut in two."""
        forms = self._forms_for(text)
        moved = end < len(text)
        while moved:
            moved = False
            for form in forms:
                start = text.find(form, max(0, end - len(form) + 1), end + len(form) - 1)
                if start >= 0 and start < end < start + len(form):
                    end, moved = start, True
            for start, finish in hidden:
                if start < end < finish:
                    end, moved = start, True
        return end

    def find_hidden(self, text: str) -> list[tuple[int, int]]:
        """Where people see secrets that are not in the text as they are."""
        spans = []
        for view in views(text):
            for start, end in self._find(view.text):
                spans.append(view.span(start, end))
        return merge_spans(spans)

    def _without_plain(self, text: str) -> str:
        for form in self._forms_for(text):
            if form in text:
                text = text.replace(form, STARS)
        return text

    def _forms_for(self, text: str) -> list[str]:
        """The forms that can be in the text: those with codes need a text with codes."""
        if has_codes(text):
            return self._forms
        return self._plain_forms

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._forms_for(text):
            start = text.find(form)
            while start >= 0:
                yield start, start + len(form)
                start = text.find(form, start + len(form))


class StreamMask:
    """Masks text that comes in chunks.

    What may be the beginning of a secret is held back until the next chunk.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = ""
        self._line = ""

    def feed(self, chunk: str) -> str:
        """The part of what came so far that can be shown."""
        if not self._mask.longest:
            return chunk
        text = self._line + self._held + chunk
        hidden = self._mask.find_hidden(text)
        end = max(self._mask.find_cut(text, hidden), len(self._line))
        self._held = text[end:]
        return self._show(text[:end], hidden)

    def flush(self) -> str:
        """What was held back, when nothing follows."""
        text, self._held = self._line + self._held, ""
        return self._show(text, self._mask.find_hidden(text))

    def _show(self, text: str, hidden: Sequence[tuple[int, int]]) -> str:
        """The new part of the text, masked.

        The end of the line shown so far is kept: text that moves within the line, as after a
        carriage return, may complete a secret there.
        """
        whole = [(start, end) for start, end in hidden if start < len(text)]
        masked = self._mask.after(self._line, text[len(self._line) :], whole)
        self._line = text.rpartition("\n")[2][-_LINE_CHARACTERS:]
        return masked


def _with_stars(text: str, hidden: Sequence[tuple[int, int]]) -> str:
    """The text with stars for what is hidden, which is in order.

    Terminal codes and tags within stay, since they affect the text that follows.
    """
    parts: list[str] = []
    at = 0
    for start, end in hidden:
        parts += [text[at:start], STARS, *_KEPT_CODES.findall(text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def too_short(secrets: Iterable[tuple[str, str]]) -> list[str]:
    """The names of the secrets that cannot be masked."""
    return sorted(name for name, value in secrets if 0 < len(value) < SHORTEST)


def _forms(secret: str) -> set[str]:
    """The texts by which programs may print the secret."""
    escaped = _escaped_forms(secret)
    forms = {secret, *escaped, *_quoted_forms(secret), *_lines_of_several(secret)}
    for view in views(secret):
        # What is left of a secret may be so short that it is met by chance.
        if len(view.text) >= max(2 * SHORTEST, len(secret) // 2):
            forms.add(view.text)
    for form in (secret, *escaped):
        forms |= _encoded_forms(_as_bytes(form))
    return forms


def _lines_of_several(secret: str) -> Iterator[str]:
    # Logs may show a private key, or another secret of several lines, line by line.
    if "\n" not in secret.strip():
        return
    for line in secret.splitlines():
        if len(line.strip()) >= 2 * SHORTEST:
            yield line.strip()


def _escaped_forms(secret: str) -> set[str]:
    return {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(_as_bytes(secret))[2:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
    }


def _quoted_forms(secret: str) -> set[str]:
    as_bytes = _as_bytes(secret)
    quoted = {
        urllib.parse.quote(as_bytes, safe=""),
        urllib.parse.quote(as_bytes),
        urllib.parse.quote_plus(as_bytes),
    }
    # Python writes `%2F`, other programs `%2f`.
    return quoted | {re.sub("%..", lambda match: match[0].lower(), form) for form in quoted}


def _as_bytes(text: str) -> bytes:
    # Variables of an environment that are no UTF-8 have surrogates for their bytes (PEP 383).
    return text.encode(errors="surrogateescape")


def _encoded_forms(secret: bytes) -> set[str]:
    """Base64 and hexadecimal, where they are long enough not to be met by chance."""
    found = {secret.hex(), secret.hex().upper(), base64.encodebytes(secret).decode().strip()}
    # base64 encodes three bytes at a time, so how many come before it matters up to three.
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        # Only characters that have no bits of the bytes around the secret.
        inner = whole[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return {form for form in found if len(form) >= _SHORTEST_ENCODED}
