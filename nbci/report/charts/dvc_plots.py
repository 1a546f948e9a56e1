"""`plots` as a `dvc.yaml` lists them: which columns of which files, with the words of the axes."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.report.charts.shapes import texts_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = ("title", "x_label", "y_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One picture: columns of a file, or of the files in a folder.

    No `y` stands for all columns but `x`.
    """

    path: str
    x: str | None = None
    y: tuple[str, ...] = ()
    template: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)


def plots_of(document: Any, folder: str) -> tuple[Plot, ...]:
    """The plots that the document lists, their paths as seen from where `folder` begins."""
    plots: list[Plot] = []
    for entry in _entries(document):
        named = _as_mapping(entry)
        # DVC takes the bare path of a file for a plot without settings.
        if isinstance(entry, str):
            named = {entry: None}
        for name, settings in named.items():
            plots += _plots(str(name), _as_mapping(settings), folder)
    return tuple(plots)


def _entries(document: Any) -> list[Any]:
    listed = _as_mapping(document).get("plots")
    if isinstance(listed, Mapping):
        return [listed]
    if isinstance(listed, list):
        return listed
    return []


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return None


def _plots(name: str, settings: Mapping[str, Any], folder: str) -> Iterator[Plot]:
    x, y = settings.get("x"), settings.get("y")
    # Where `y` maps files to columns, the entry's name is a title and no path.
    by_file = y
    if not isinstance(by_file, Mapping):
        by_file = {name: y}
    words = texts_at(settings, _WORDS)
    for path, columns in by_file.items():
        x_column = x
        if isinstance(x, Mapping):
            x_column = x.get(path)
        yield Plot(
            path=posixpath.normpath(posixpath.join(folder, str(path))),
            x=_as_text(x_column),
            y=_names(columns),
            template=_as_text(settings.get("template")),
            words=words,
        )


def _names(columns: Any) -> tuple[str, ...]:
    if isinstance(columns, str):
        return (columns,)
    if not isinstance(columns, list):
        return ()
    return tuple(name for name in columns if isinstance(name, str))
