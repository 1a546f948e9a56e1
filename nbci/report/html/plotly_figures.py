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
    drawn = _drawn(figures) if figures else {}
    return {
        place: {
            **outputs[place],
            "data": {**outputs[place]["data"], "image/png": base64.b64encode(png).decode()},
        }
        for place, png in drawn.items()
    }


def _figure(output: object) -> Mapping[str, Any] | None:
    match output:
        case {"data": {"application/vnd.plotly.v1+json": {"data": list(traces), **rest}, **forms}}:
            pass
        case _:
            return None
    layout = rest.get("layout")
    if any(mime in SUFFIXES for mime in forms) or not isinstance(layout, dict):
        return None
    if any(not isinstance(trace, dict) or trace.get("type") in _FROM_NETWORK for trace in traces):
        return None
    template = layout.get("template")
    # `images` of a layout are fetched from their addresses.
    kept = {name: value for name, value in layout.items() if name not in ("images", "template")}
    if isinstance(template, dict):
        kept["template"] = {
            "data": template.get("data") or {},
            "layout": _without_images(template.get("layout")),
        }
    return {"data": traces, "layout": kept}


def _without_images(layout: object) -> dict[str, Any]:
    if not isinstance(layout, dict):
        return {}
    return {name: value for name, value in layout.items() if name != "images"}


def _drawn(figures: Mapping[Place, Mapping[str, Any]]) -> dict[Place, bytes]:
    """One browser draws them all; a figure that it cannot draw is left out."""
    try:
        import kaleido
        import plotly  # noqa: F401 - without its plotly.js, kaleido would take one from the network
    except ImportError:
        return {}
    with tempfile.TemporaryDirectory() as name:
        paths = {place: Path(name) / f"{at}.png" for at, place in enumerate(figures)}
        wanted = [
            {"fig": figures[place], "path": str(path), "opts": {"format": "png"}}
            for place, path in paths.items()
        ]
        try:
            # MathJax would be loaded from the network.
            kaleido.write_fig_from_object_sync(wanted, kopts={"mathjax": False})
        # Whatever the cause, the page can still name the output in words.
        except Exception:  # noqa: BLE001
            return {}
        return {place: path.read_bytes() for place, path in paths.items() if path.is_file()}
