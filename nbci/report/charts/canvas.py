"""Set up matplotlib: colours for light and dark pages, fixed settings, and the file's form."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import Any

from nbci.report.charts import palette
from nbci.report.charts.svg import FONT

TEXT, QUIET, GRID = palette.TEXT.light, palette.QUIET.light, palette.LINE.light
OTHERS = "#8f98a1"
# The report has no orange of its own.
_SERIES = (palette.LINK, palette.Colour("#b3470e", "#f0a070"), palette.GOOD, palette.KEYWORD)
COLOURS = tuple(colour.light for colour in _SERIES)
ON_DARK_CELL = "#fffffe"
LEVELS = ("#eaf1f8", "#d6e4f2", "#bcd4ea", "#9bbfe0", "#3876b3", "#2a6bab", "#195696", "#0b407a")
_DARK = {
    **dict((palette.TEXT, palette.QUIET, palette.LINE)),
    OTHERS: "#78838e",
    **dict(_SERIES),
    ON_DARK_CELL: "#0e1216",
    **dict(
        zip(
            LEVELS,
            (
                "#1a232c",
                "#1e2d3a",
                "#22384a",
                "#27455e",
                "#6fa5d8",
                "#86b7e5",
                "#9dc8f0",
                "#b6d8f8",
            ),
            strict=True,
        )
    ),
}
LETTERS = 12
SMALL = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG file and its natural size."""

    content: bytes
    width: int
    height: int


def settings() -> Any:
    import matplotlib as mpl

    return mpl.rc_context(
        {
            # The user's own matplotlibrc would make another picture of the same numbers.
            **{
                key: value
                for key, value in mpl.rcParamsDefault.items()
                # `rc_context` does not restore the backend, and an SVG does not depend on it.
                if not key.startswith(("backend", "interactive"))
            },
            # Letters as outlines make files large, and are not in the font of the page.
            "svg.fonttype": "none",
            # Without it ids are random, and the same picture has other bytes each time.
            "svg.hashsalt": "nbci",
            "text.parse_math": False,  # a dollar in a label is a dollar
            "text.color": TEXT,
            "axes.edgecolor": QUIET,
            "axes.labelcolor": TEXT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.formatter.use_mathtext": False,
            "axes.unicode_minus": True,
            "grid.color": GRID,
            "xtick.color": QUIET,
            "ytick.color": QUIET,
            "xtick.labelcolor": QUIET,
            "ytick.labelcolor": QUIET,
            "font.size": LETTERS,
            "xtick.labelsize": SMALL,
            "ytick.labelsize": SMALL,
        }
    )


def canvas(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Any, Any]:
    """A figure of that many pixels with axes in `box`: left, top, width, height."""
    # Not pyplot, which keeps each figure until it is closed and looks for a display.
    from matplotlib.figure import Figure

    width, height = math.ceil(width), math.ceil(height)
    # At 72 dpi a point of matplotlib is one pixel of the page.
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, top, across, down = box
    axes = figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))
    return figure, axes


def saved(figure: Any) -> Drawing:
    width, height = (round(72 * side) for side in figure.get_size_inches())
    stream = io.StringIO()
    # The date and the version would change the bytes of a picture that is the same.
    figure.savefig(
        stream,
        format="svg",
        transparent=True,
        metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
    )
    return Drawing(content=_for_pages(stream.getvalue()).encode(), width=width, height=height)


def _for_pages(text: str) -> str:
    """Return the SVG in pixels, with attributes in place of inline styles.

    On dark pages it has other colours.
    """
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(
        r'(<svg [^>]*?width="[\d.]+)pt("[^>]*? height="[\d.]+)pt"', r'\1\2"', text, count=1
    )
    text = re.sub(
        r'(<svg [^>]*?height="[\d.]+)pt("[^>]*? width="[\d.]+)pt"', r'\1\2"', text, count=1
    )
    # The dark rules select by attribute, and inline styles would override them.
    text = re.sub(r' style="([^"]*)"', _as_attributes, text)
    dark = "".join(
        f'[fill="{light}"]{{fill:{shade}}}[stroke="{light}"]{{stroke:{shade}}}'
        for light, shade in _DARK.items()
        if light in text
    )
    style = f"text{{font-family:{FONT}}}@media(prefers-color-scheme:dark){{{dark}}}"
    return text.replace("</style>", f"{style}</style>", 1)


def _as_attributes(found: re.Match[str]) -> str:
    written = []
    for declaration in found[1].split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            size = re.search(r"([\d.]+)px", value)
            written.append(f'font-size="{size[1] if size else LETTERS}"')
            if "bold" in value or re.match(r"[6-9]00\b", value):
                written.append('font-weight="600"')
        # The style sheet sets the page's font; a style that ends in `;` has an empty part.
        elif name == "font-family" or not name:
            continue
        else:
            written.append(f'{name}="{value}"')
    return "".join(f" {attribute}" for attribute in written)
