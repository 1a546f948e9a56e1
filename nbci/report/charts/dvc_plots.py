"""`plots` as a `dvc.yaml` lists them: which columns of which files, with the words of the axes."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    listed = document.get("plots") if isinstance(document, Mapping) else None
    entries = (
        [listed] if isinstance(listed, Mapping) else listed if isinstance(listed, list) else []
    )
    return tuple(
        plot
        for entry in entries
        if isinstance(entry, str | Mapping)
        for name, settings in ({entry: None} if isinstance(entry, str) else entry).items()
        for plot in _plots(str(name), settings if isinstance(settings, Mapping) else {}, folder)
    )


def _plots(name: str, settings: Mapping[str, Any], folder: str) -> Iterator[Plot]:
    x, y = settings.get("x"), settings.get("y")
    by_file = y if isinstance(y, Mapping) else {name: y}
    template = settings.get("template")
    words = {key: settings[key] for key in _WORDS if isinstance(settings.get(key), str)}
    for path, columns in by_file.items():
        place = x.get(path) if isinstance(x, Mapping) else x
        yield Plot(
            path=posixpath.normpath(posixpath.join(folder, str(path))),
            x=place if isinstance(place, str) else None,
            y=_names(columns),
            template=template if isinstance(template, str) else None,
            words=words,
        )


def _names(columns: Any) -> tuple[str, ...]:
    if isinstance(columns, str):
        return (columns,)
    return (
        tuple(name for name in columns if isinstance(name, str))
        if isinstance(columns, list)
        else ()
    )
