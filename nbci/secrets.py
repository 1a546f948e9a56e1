"""Removes the values of secrets from everything that is written or shown."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

from nbci.formatting.visible import begun, between, has_codes, merged, views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SHORTEST = 4
"""In characters: shorter secrets are not masked, since masking them would blank out ordinary text.

Users who declare a shorter one are warned.
"""

STARS = "***"

_SHORTEST_ENCODED = 6
_LINE_CHARACTERS = 1024
_TAIL_CHARACTERS = 4096
_SHORT_CODES = "\x1b&%\\"
_KEPT_CODES = re.compile(r"\x1b\[[\d;:]*m|</?[a-zA-Z][^<>]*>")
_CREDENTIAL = re.compile(
    r"(^|_)(api_?key|auth|credentials?|passw(or)?d|passphrase|pass|pat|pwd|secret|token)($|_)|(access|account|private|signing)_?key($|_)",
    re.IGNORECASE,
)
# Such names (TOKEN_URL, PASSWORD_FILE) are of what belongs to a credential, not of one.
_NO_CREDENTIAL = re.compile(
    r"_(dir|endpoint|enabled|expir\w*|file|home|host|id|method|mode|name|path|sock|ttl|type|uri|url|user|username)$",
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
        in_url = _URL_PASSWORD.match(value)
        if in_url:
            found[name] = urllib.parse.unquote(in_url[1])
        elif (
            _CREDENTIAL.search(name)
            and not _NO_CREDENTIAL.search(name)
            # The path of the file that has the credential.
            and not value.startswith("/")
        ):
            found[name] = value
    return {name: value for name, value in found.items() if not _ORDINARY.fullmatch(value)}


class Mask:
    """Replaces secrets by `***`, in the forms in which programs print and people see them.

    The forms are: plain, escaped as in JSON, Python and HTML, quoted for URLs, in hexadecimal, in
    base64 also as part of something longer (as in a header `Authorization: Basic`). They are looked
    for in the text as it is, and as it is seen once terminal codes, markup and escapes, of one kind
    within another, are removed (`nbci.formatting.visible`).
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets` are the values; those shorter than four characters are left out."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first, so that a form within another does not leave the rest of it visible.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._plain_forms = [form for form in self._forms if not has_codes(form)]
        self._inner_characters = {character for form in self._forms for character in form[:-1]}

    @property
    def longest(self) -> int:
        """The number of characters of the longest form."""
        return len(self._forms[0]) if self._forms else 0

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if not self._forms:
            return text
        text = self._without_plain(text)
        return _starred(text, self.hidden(text))

    def json(self, document: Any) -> Any:
        """A copy of a JSON document, every string in it masked, keys too."""
        if isinstance(document, str):
            return self.text(document)
        if isinstance(document, dict):
            return {self.text(str(key)): self.json(value) for key, value in document.items()}
        if isinstance(document, (list, tuple)):
            return [self.json(item) for item in document]
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
        return self._without_plain(_starred(text, new))

    def unfinished(self, text: str) -> int:
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

    def cut(self, text: str, hidden: Sequence[tuple[int, int]]) -> int:
        """Where `text` may be cut.

        That is before a secret's possible beginning, and never within a whole secret.
        """
        end = len(text) - self.unfinished(text)
        whole = len(text) - begun(text)
        if whole < len(text):
            end = min(end, whole - self.unfinished(text[:whole]))
            end = min(end, whole) if text[whole] in _SHORT_CODES else end
        start = max(0, whole - _TAIL_CHARACTERS)
        for view in views(text[start:whole]):
            for length in {len(view.text), len(view.text) - begun(view.text)}:
                held = self.unfinished(view.text[:length])
                end = min(end, start + view.span(length - held, length)[0]) if held else end
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

    def hidden(self, text: str) -> list[tuple[int, int]]:
        """Where people see secrets that are not in the text as they are."""
        return merged(
            view.span(start, end) for view in views(text) for start, end in self._found(view.text)
        )

    def _without_plain(self, text: str) -> str:
        for form in self._forms_for(text):
            if form in text:
                text = text.replace(form, STARS)
        return text

    def _forms_for(self, text: str) -> list[str]:
        """The forms that can be in the text: those with codes need a text with codes."""
        return self._forms if has_codes(text) else self._plain_forms

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
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
        hidden = self._mask.hidden(text)
        end = max(self._mask.cut(text, hidden), len(self._line))
        self._held = text[end:]
        return self._shown(text[:end], hidden)

    def flush(self) -> str:
        """What was held back, when nothing follows."""
        text, self._held = self._line + self._held, ""
        return self._shown(text, self._mask.hidden(text))

    def _shown(self, text: str, hidden: Sequence[tuple[int, int]]) -> str:
        """The new part of the text, masked.

        The end of the line shown so far is kept: text that moves within the line, as after a
        carriage return, may complete a secret there.
        """
        whole = [(start, end) for start, end in hidden if start < len(text)]
        masked = self._mask.after(self._line, text[len(self._line) :], whole)
        self._line = text.rpartition("\n")[2][-_LINE_CHARACTERS:]
        return masked


def _starred(text: str, hidden: Sequence[tuple[int, int]]) -> str:
    """The text with stars for what is hidden.

    Terminal codes and tags within stay, since they affect the text that follows.
    """
    if not hidden:
        return text
    kept = [text[start:end] for start, end in between(hidden, len(text))]
    codes = ["".join(_KEPT_CODES.findall(text[start:end])) for start, end in hidden]
    return kept[0] + "".join(
        f"{STARS}{code}{after}" for code, after in zip(codes, kept[1:], strict=True)
    )


def too_short(secrets: Iterable[tuple[str, str]]) -> list[str]:
    """The names of the secrets that cannot be masked."""
    return sorted(name for name, value in secrets if 0 < len(value) < SHORTEST)


def _forms(secret: str) -> set[str]:
    # Logs may show a private key, or another secret of several lines, line by line.
    lines = {
        line.strip()
        for line in secret.splitlines()
        if "\n" in secret.strip() and len(line.strip()) >= 2 * SHORTEST
    }
    escaped = {
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
    escaped |= {ascii(secret)[1:-1], repr(secret.encode(errors="surrogateescape"))[2:-1]}
    escaped |= {html.escape(secret), html.escape(secret, quote=False)}
    quoted = {
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
    }
    # Python writes `%2F`, other programs `%2f`.
    quoted |= {re.sub("%..", lambda match: match[0].lower(), form) for form in quoted}
    seen = {
        view.text for view in views(secret) if len(view.text) >= max(2 * SHORTEST, len(secret) // 2)
    }
    encoded = {
        code
        for form in {secret} | escaped
        for code in _encoded(form.encode(errors="surrogateescape"))
    }
    return {secret} | lines | escaped | quoted | seen | encoded


def _encoded(secret: bytes) -> set[str]:
    """Base64 and hexadecimal, where they are long enough not to be met by chance."""
    found = {secret.hex(), secret.hex().upper(), base64.encodebytes(secret).decode().strip()}
    # base64 encodes three bytes at a time, so how many come before it matters up to three.
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        # Only characters that have no bits of the bytes around the secret.
        inner = whole[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return {form for form in found if len(form) >= _SHORTEST_ENCODED}
