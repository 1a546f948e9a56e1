"""Takes the values of secrets out of everything that is written or shown."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHORTEST = 4
"""Shorter secrets are not masked: they would blank out ordinary text; whoever declares one is warned."""

STARS = "***"

_SHORTEST_ENCODED = 6
_CREDENTIAL = re.compile(
    r"(^|_)(api_?key|auth|credentials?|passw(or)?d|passphrase|pass|pat|pwd|secret|token)($|_)|(access|account|private|signing)_?key($|_)",
    re.IGNORECASE,
)
_NO_CREDENTIAL = re.compile(
    r"_(dir|endpoint|enabled|expir\w*|file|home|host|id|method|mode|name|path|sock|ttl|type|uri|url|user|username)$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"^[a-z][a-z0-9+.-]*://[^\s/@:]*:([^\s/@]+)@", re.IGNORECASE)
_ORDINARY = re.compile(r"[a-z]{1,11}|\d{1,7}|(.)\1*|.{1,7}", re.IGNORECASE | re.DOTALL)


def credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """What looks like a credential in an environment, by the variable's name: tokens, keys, passwords, also in URLs.

    Left out is what may well be an ordinary word or number, since masking it would blank out ordinary text.
    """
    found = {}
    for name, value in environ.items():
        in_url = _URL_PASSWORD.match(value)
        if in_url:
            found[name] = urllib.parse.unquote(in_url[1])
        elif _CREDENTIAL.search(name) and not _NO_CREDENTIAL.search(name) and not value.startswith("/"):
            found[name] = value
    return {name: value for name, value in found.items() if not _ORDINARY.fullmatch(value)}


class Mask:
    """Replaces secrets by `***`, in the forms in which programs print them.

    These are: plain, escaped as in JSON, Python and HTML, quoted for URLs, in hexadecimal, in base64 also as part of
    something longer (as in a header `Authorization: Basic`).
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets` are the values; those shorter than four characters are left out."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    @property
    def longest(self) -> int:
        """The number of characters of the longest form."""
        return len(self._forms[0]) if self._forms else 0

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, STARS)
        return text

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

    def unfinished(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a secret."""
        longest = 0
        for form in self._forms:
            tail = text[-(len(form) - 1) :]
            start = tail.find(form[0])
            while 0 <= start < len(tail) - longest:
                if form.startswith(tail[start:]):
                    longest = len(tail) - start
                    break
                start = tail.find(form[0], start + 1)
        return longest

    def cut(self, text: str) -> int:
        """Where `text` may be cut: before a secret's possible beginning, and never within a whole secret."""
        end = len(text) - self.unfinished(text)
        moved = True
        while moved:
            moved = False
            for form in self._forms:
                start = text.find(form, max(0, end - len(form) + 1), end + len(form) - 1)
                if start >= 0 and start < end < start + len(form):
                    end, moved = start, True
        return end


class StreamMask:
    """Masks text that comes in chunks: what may be the beginning of a secret waits for the next chunk."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = ""

    def feed(self, chunk: str) -> str:
        """The part of what came so far that can be shown."""
        text = self._held + chunk
        end = self._mask.cut(text) if self._mask.longest else len(text)
        self._held = text[end:]
        return self._mask.text(text[:end])

    def flush(self) -> str:
        """What was held back, when nothing follows."""
        text, self._held = self._held, ""
        return self._mask.text(text)


def too_short(secrets: Iterable[tuple[str, str]]) -> list[str]:
    """The names of the secrets that cannot be masked."""
    return sorted(name for name, value in secrets if 0 < len(value) < SHORTEST)


def _forms(secret: str) -> set[str]:
    lines = {
        line.strip() for line in secret.splitlines() if "\n" in secret.strip() and len(line.strip()) >= 2 * SHORTEST
    }
    escaped = {json.dumps(secret)[1:-1], repr(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    escaped |= {html.escape(secret), html.escape(secret, quote=False)}
    quoted = {urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret)}
    quoted |= {re.sub("%..", lambda match: match[0].lower(), form) for form in quoted}
    return {secret} | lines | escaped | quoted | _encoded(secret.encode(errors="surrogateescape"))


def _encoded(secret: bytes) -> set[str]:
    """Base64 and hexadecimal, where they are long enough not to be met by chance."""
    found = {secret.hex(), secret.hex().upper(), base64.encodebytes(secret).decode().strip()}
    for before in range(3):  # how much of something longer comes before it, as far as that matters to base64
        whole = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        inner = whole[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return {form for form in found if len(form) >= _SHORTEST_ENCODED}
