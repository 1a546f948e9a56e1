"""The cases by which a model got worse: side by side with their pictures, or in a table."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.behaviour.wording import confidence_text
from nbci.formatting.numbers import counted
from nbci.formatting.sizes import size
from nbci.formatting.text import short_line
from nbci.graph import by_name
from nbci.report.data.view import step_stems
from nbci.report.html.markup import Markup, element, fold, fragment, optional, table
from nbci.report.html.pictures import (
    SUFFIXES,
    Album,
    BrokenPicture,
    kind_of_file,
    picture_of_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.behaviour.difference import Difference, Example
    from nbci.report.data.material import ShownRun

_LONGEST = 200
_UNFOLDED = 6
# The page is the first that a reviewer loads, also on a phone.
_MOST_BYTES = 200_000


class Thumbnail(Struct, frozen=True, kw_only=True):
    """The address of a picture, or why there is none; neither where `show` names no picture."""

    address: str | None = None
    problem: str = ""


class Thumbnails:
    """The pictures that the column `show` names by their paths, as files of the page.

    Paths are those by which the step opens the files. Only outs of the run are read: what else is
    on the machine that makes the report is not for its readers.
    """

    def __init__(self, run: ShownRun) -> None:
        self.album = Album(root="")
        self._run = run
        self._steps = by_name(run.plan.steps)
        self._stems = step_stems(run.record, run.plan)
        self._bytes = 0

    def find(self, show: str, step: str, number: int) -> Thumbnail:
        """The picture of a step's example, whose number names the file."""
        mime = kind_of_file(show)
        # An address is a text like any other: a report asks nothing of the network.
        if mime is None or "://" in show:
            return Thumbnail()
        path = posixpath.normpath(posixpath.join(self._steps[step].cwd, show))
        content = self._run.read_file(path)
        if content is None:
            return Thumbnail(problem="not among the outs that are kept of the run")

        address = f"images/{self._stems[step]}/case-{number}.{SUFFIXES[mime]}"
        try:
            return Thumbnail(address=self._keep(address, mime, content))
        except BrokenPicture as error:
            return Thumbnail(problem=f"not shown: {error}")

    def _keep(self, path: str, mime: str, content: bytes) -> str:
        if self._bytes + len(content) > _MOST_BYTES:
            raise BrokenPicture(
                f"it has {size(len(content))}, and those of all cases may have {size(_MOST_BYTES)}"
            )
        checked = picture_of_file(mime, content)
        self._bytes += len(checked)
        return self.album.keep_file(path, checked)


def examples_part(difference: Difference, step: str, pictures: Thumbnails) -> Iterator[Markup]:
    """The first examples, and the others folded."""
    if not difference.examples:
        return
    found = []
    for number, example in enumerate(difference.examples, 1):
        found.append(pictures.find(example.show or "", step, number))
    layout = _table
    if any(thumbnail.address for thumbnail in found):
        layout = _cards

    pairs = list(zip(difference.examples, found, strict=True))
    yield element("p", _title(difference), class_="part")
    yield layout(difference, pairs[:_UNFOLDED])
    more = pairs[_UNFOLDED:]
    if more:
        yield fold(counted(len(more), "more case"), layout(difference, more))


def _title(difference: Difference) -> str:
    if difference.outcomes is None:
        return "Cases whose error grew most"
    title = "Broken cases"
    shown = len(difference.examples)
    if difference.outcomes.broken > shown:
        title = f"{shown} of {difference.outcomes.broken:,} broken cases"
    if difference.examples[0].confidence is None:
        return title
    return f"{title}, the most confident first"


def _cards(difference: Difference, pairs: Sequence[tuple[Example, Thumbnail]]) -> Markup:
    cards = [_card(difference, example, thumbnail) for example, thumbnail in pairs]
    return element("ul", *cards, class_="cards")


def _card(difference: Difference, example: Example, thumbnail: Thumbnail) -> Markup:
    name = _name(example)
    if example.id is not None:
        name = f"case {name}"
    picture: Markup | None = _text(example, thumbnail)
    if thumbnail.address is not None:
        picture = element("img", src=thumbnail.address, alt=f"Picture of {name}", loading="lazy")
    confidence = confidence_text(example.confidence, difference)
    if confidence:
        confidence = f"confidence {confidence}"
    return element(
        "li",
        picture,
        element("strong", _turn(difference, example)),
        optional("span", confidence, class_="under"),
        element("span", name, class_="under"),
    )


def _turn(difference: Difference, example: Example) -> str:
    """What the model made of the case, and what it should have."""
    label, now = short_line(example.label), short_line(example.prediction)
    # A broken case is one that the baseline had right: its answer was the label.
    if difference.outcomes is not None:
        return f"{label} taken for {now}"
    return f"{short_line(example.before)} → {now}, label {label}"


def _table(difference: Difference, pairs: Sequence[tuple[Example, Thumbnail]]) -> Markup:
    heads = ("Case", "Label", "Before", "Now", "Confidence", "Shown as")
    rows = [_row(difference, example, thumbnail) for example, thumbnail in pairs]
    return table("Cases that got worse", heads, rows, is_stacked=True)


def _row(difference: Difference, example: Example, thumbnail: Thumbnail) -> tuple[str, ...]:
    before = ""
    if difference.outcomes is None:
        before = short_line(example.before)
    return (
        _name(example),
        short_line(example.label),
        before,
        short_line(example.prediction),
        confidence_text(example.confidence, difference),
        _text(example, thumbnail),
    )


def _name(example: Example) -> str:
    if example.id is None:
        return f"row {example.row:,}"
    return short_line(example.id)


def _text(example: Example, thumbnail: Thumbnail) -> Markup:
    shown = short_line(example.show or "", _LONGEST)
    return fragment(shown, optional("span", thumbnail.problem, class_="under"))
