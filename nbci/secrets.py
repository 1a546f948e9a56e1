"""Takes the values of secrets out of everything that is written or shown."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST = 4
"""Shorter secrets are not masked: they would blank out ordinary text; whoever declares one is warned."""

STARS = "***"


class Mask:
    """Replaces secrets by `***`, in the forms in which programs print them: plain, escaped, quoted for URLs."""

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
        for length in range(min(self.longest - 1, len(text)), 0, -1):
            tail = text[-length:]
            if any(len(form) > length and form.startswith(tail) for form in self._forms):
                return length
        return 0

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
    quoted = {urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret)}
    return {secret} | lines | escaped | quoted
