"""Set up matplotlib: colours for light and dark pages, fixed settings, and the file's form."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.report.charts import palette
from nbci.report.charts.palette import Colour
from nbci.report.charts.svg import FONT

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = Colour("#8f98a1", "#78838e")
# The report has no orange of its own.
_SERIES = (palette.LINK, Colour("#b3470e", "#f0a070"), palette.GOOD, palette.KEYWORD)
_ON_DARK_CELL = Colour("#fffffe", "#0e1216")
_USED = (
    palette.TEXT,
    palette.QUIET,
    palette.LINE,
    _OTHERS,
    *_SERIES,
    _ON_DARK_CELL,
    *palette.LEVELS,
)

# matplotlib draws for light pages; `_dark_rules` gives the other colours.
TEXT, QUIET, GRID = palette.TEXT.light, palette.QUIET.light, palette.LINE.light
OTHERS = _OTHERS.light
COLOURS = tuple(colour.light for colour in _SERIES)
ON_DARK_CELL = _ON_DARK_CELL.light
LEVELS = tuple(colour.light for colour in palette.LEVELS)
LETTERS = 12
SMALL = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG file and its natural size."""

    content: bytes
    width: int
    height: int


def drawing_settings() -> Any:
    """A context in which matplotlib draws the same picture for every user."""
    import matplotlib as mpl

    # The user's own matplotlibrc would make another picture of the same numbers.
    defaults = {
        key: value
        for key, value in mpl.rcParamsDefault.items()
        # `rc_context` does not restore the backend, and an SVG does not depend on it.
        if not key.startswith(("backend", "interactive"))
    }
    settings: Any = {
        **defaults,
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
    return mpl.rc_context(settings)


def new_figure(
    width: float, height: float, box: tuple[float, float, float, float]
) -> tuple[Any, Any]:
    """A figure of that many pixels with axes in `box`: left, top, width, height."""
    # Not pyplot, which keeps each figure until it is closed and looks for a display.
    from matplotlib.figure import Figure

    width, height = math.ceil(width), math.ceil(height)
    # At 72 dpi a point of matplotlib is one pixel of the page.
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, top, across, down = box
    axes = figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))
    return figure, axes


def write_svg(figure: Any) -> Drawing:
    """The figure as a file that fits light and dark pages."""
    width, height = map(round, 72 * figure.get_size_inches())
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
    # The root element has its two sides in points, which a browser would scale by 4/3.
    text = re.sub(r'((?:width|height)="[\d.]+)pt"', r'\1"', text, count=2)
    # The dark rules select by attribute, and inline styles would override them.
    text = re.sub(r' style="([^"]*)"', _as_attributes, text)

    dark = "".join(_dark_rules(text))
    style = f"text{{font-family:{FONT}}}@media(prefers-color-scheme:dark){{{dark}}}"
    return text.replace("</style>", f"{style}</style>", 1)


def _dark_rules(text: str) -> Iterator[str]:
    for light, dark in dict(_USED).items():
        if light in text:
            yield f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}'


def _as_attributes(style: re.Match[str]) -> str:
    return "".join(map(" {}".format, _attributes(style[1])))


def _attributes(style: str) -> Iterator[str]:
    for declaration in style.split(";"):
        name, value = map(str.strip, declaration.partition(":")[::2])
        # The style sheet sets the page's font; a style that ends in `;` has an empty part.
        if name == "font-family" or not name:
            continue
        if name != "font":
            yield f'{name}="{value}"'
            continue

        font_size: object = LETTERS
        if size := re.search(r"([\d.]+)px", value):
            font_size = size[1]
        yield f'font-size="{font_size}"'
        if "bold" in value or re.match(r"[6-9]00\b", value):
            yield 'font-weight="600"'
