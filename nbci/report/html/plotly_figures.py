"""Draw plotly's figures as pictures where kaleido and plotly are installed beside nbci.

Nothing is loaded from the network.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.report.html.pictures import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.report.data.view import ShownCell

    Place = tuple[str, int]
    """A cell's anchor and the index of one of its outputs."""

_MIME = "application/vnd.plotly.v1+json"
# These fetch the outlines of countries or the tiles of a map.
_FROM_NETWORK = frozenset(
    (
        "choropleth choroplethmap choroplethmapbox densitymap densitymapbox scattergeo scattermap"
        " scattermapbox"
    ).split()
)


def with_plotly_drawn(cells: Iterable[ShownCell]) -> dict[Place, dict[str, Any]]:
    """Return the outputs that hold a plotly figure but no picture of it, with kaleido's picture."""
    figures: dict[Place, Mapping[str, Any]] = {}
    outputs: dict[Place, Mapping[str, Any]] = {}
    for cell in cells:
        for at, output in enumerate(cell.outputs):
            figure = _figure(output)
            if figure is not None:
                figures[cell.anchor, at], outputs[cell.anchor, at] = figure, output
    if not figures:
        return {}

    with_pictures: dict[Place, dict[str, Any]] = {}
    for place, png in _draw(figures).items():
        output = outputs[place]
        data = {**output["data"], "image/png": base64.b64encode(png).decode()}
        with_pictures[place] = {**output, "data": data}
    return with_pictures


def _figure(output: object) -> Mapping[str, Any] | None:
    match output:
        case {"data": {"application/vnd.plotly.v1+json": {"data": list(traces), **rest}, **forms}}:
            pass
        case _:
            return None
    layout = rest.get("layout")
    # With a picture beside it, the output can be shown already.
    if not SUFFIXES.keys().isdisjoint(forms) or not isinstance(layout, dict):
        return None
    if not all(map(_is_drawn_offline, traces)):
        return None
    template = layout.get("template")
    kept = _without(layout, "images", "template")
    if isinstance(template, dict):
        kept["template"] = {
            "data": template.get("data") or {},
            "layout": _without(template.get("layout"), "images"),
        }
    return {"data": traces, "layout": kept}


def _is_drawn_offline(trace: object) -> bool:
    return isinstance(trace, dict) and trace.get("type") not in _FROM_NETWORK


def _without(layout: object, *unwanted: str) -> dict[str, Any]:
    """The layout without these keys; `images` of a layout are fetched from their addresses."""
    if not isinstance(layout, dict):
        return {}
    return {name: value for name, value in layout.items() if name not in unwanted}


def _draw(figures: Mapping[Place, Mapping[str, Any]]) -> dict[Place, bytes]:
    """The figures as PNG, drawn by one browser; without those that it cannot draw."""
    try:
        import kaleido
        import plotly  # noqa: F401 - without its plotly.js, kaleido would take one from the network
    except ImportError:
        return {}
    with tempfile.TemporaryDirectory() as name:
        paths: dict[Place, Path] = {}
        wanted = []
        for at, (place, figure) in enumerate(figures.items()):
            paths[place] = Path(name) / f"{at}.png"
            wanted.append({"fig": figure, "path": str(paths[place]), "opts": {"format": "png"}})
        try:
            # MathJax would be loaded from the network.
            kaleido.write_fig_from_object_sync(wanted, kopts={"mathjax": False})
        # Whatever the cause, the page can still name the output in words.
        except Exception:  # noqa: BLE001
            return {}
        return {place: path.read_bytes() for place, path in paths.items() if path.is_file()}
