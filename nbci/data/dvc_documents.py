"""The files of a project that DVC reads: their texts now, and as they are to be."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.errors import Location, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file of the project: its text now (None: it is not there), and as it is to be."""

    path: str
    before: str | None
    text: str

    def diff(self) -> str:
        """What changes, as `diff -u` shows it."""
        old = (self.before or "").splitlines(keepends=True)
        new = self.text.splitlines(keepends=True)
        name = f"a/{self.path}"
        if self.before is None:
            name = "/dev/null"
        return "".join(difflib.unified_diff(old, new, name, f"b/{self.path}"))


class ProjectTexts:
    """Reads files of the project, and makes documents that are to replace them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> str | None:
        """The file's text; None when it is not there."""
        try:
            return (self._root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot be read: {error}", where=Location(path)) from error

    def read_mapping(self, path: str) -> dict[str, Any] | None:
        """What a file of YAML says; None when it is not there."""
        from dvc.utils.serialize import ParseError, parse_yaml

        text = self.read(path)
        if text is None:
            return None
        try:
            document = parse_yaml(text, path)
        except ParseError as error:
            raise UsageError(
                f"this is no YAML: {error.__cause__ or error}", where=Location(path)
            ) from error
        if not isinstance(document, dict):
            raise UsageError("this is no mapping, as DVC has it", where=Location(path))
        return document

    def document(self, path: str, text: str) -> Document:
        """The file with this text instead of its present one."""
        return Document(path=path, before=self.read(path), text=text)

    def updated(self, path: str, wanted: Mapping[str, Any]) -> Document:
        """The file with another content; comments and order of what stays are kept."""
        from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

        text = self.read(path)
        document: Any = {}
        if text is not None:
            document = parse_yaml_for_update(text, path)
        _update_mapping(document, wanted)
        return Document(path=path, before=text, text=str(dumps_yaml(document)))

    def extended(self, path: str, lines: Iterable[str]) -> Document:
        """The file with these lines more at its end."""
        before = self.read(path)
        text = before or ""
        # the last line of a file may have no end
        if text and not text.endswith("\n"):
            text += "\n"
        for line in lines:
            text += f"{line}\n"
        return Document(path=path, before=before, text=text)


def _update_mapping(document: Any, wanted: Mapping[str, Any]) -> None:
    """Make a mapping hold just this, with as few changes as possible."""
    for key in set(document).difference(wanted):
        del document[key]
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _update_mapping(document[key], value)
        elif key not in document or document[key] != value:
            document[key] = value
