"""One cell's outputs as HTML, and the pictures and long texts in them as files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted
from nbci.formatting.sizes import size
from nbci.formatting.text import (
    as_json,
    as_printed,
    clean,
    joined_lines,
    short_line,
    shorten,
    without_ansi,
)
from nbci.report.data.addresses import NOWHERE, Addresses
from nbci.report.html.ansi import ansi_to_html
from nbci.report.html.colours import colour_rules, rename_taken_table
from nbci.report.html.interactive import (
    interactive_kinds,
    is_better_plain,
    is_readable_alone,
    is_wordless,
    needs_more,
    only_loads,
)
from nbci.report.html.markup import Markup, element, fold, fragment
from nbci.report.html.mathml import from_latex
from nbci.report.html.pictures import SUFFIXES, Album, BrokenPicture, is_wide
from nbci.report.html.untrusted import Surroundings, from_html, from_markdown
from nbci.report.pages.links import notebook_link
from nbci.report.pages.separate_page import ROOT_FROM_OUTPUTS, separate_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

INLINE_LIMIT = 100_000
"""Characters of HTML or Markdown that are put into a step's page itself."""
_PAGE_LIMIT = 5_000_000
_TEXT_LIMIT = 30_000
_FOLD_LINES = 40
_FOLD_CHARACTERS = 8_000
_FOLD_JSON_LINES = 12
_LONGEST_ALT = 200
_MOST_PIXELS = 10_000
_FEWEST_SIDE_BY_SIDE = 3
_PICTURE_WITHIN = re.compile(r"data:image/[^\s\"')>]+")
_EMPTY: tuple[object, ...] = ("", [], {}, None)
# Values that scrapbook recorded are shown as metrics and charts.
_RECORDS = "application/scrapbook.scrap"
_TEXT_FORMS = ("text/markdown", "text/latex", "application/json", "text/plain")
"""The forms without pictures and HTML, the most informative first."""
# A server or a disk may not say that a text is UTF-8; the mark at its start does.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlace:
    """Where a cell's outputs are shown.

    `stem` is the cell's part of its files' names, `notebook` what holds the outputs whole, `cell`
    the address of the cell from the report's folder. `ids` are those that untrusted markup has
    taken on the page.
    """

    album: Album
    stem: str
    describes: str
    notebook: str
    cell: str
    ids: set[str]
    unfolded: bool = False
    addresses: Addresses = NOWHERE


def is_laid_out(markdown: str) -> bool:
    """Whether Markdown is short enough to be put into a page as more than its source.

    Pictures within it do not count: they become files.
    """
    if len(markdown) <= INLINE_LIMIT:
        return True
    return len(_PICTURE_WITHIN.sub("", markdown)) <= INLINE_LIMIT


def render_outputs(outputs: Sequence[Any], place: OutputPlace, *, first: int = 1) -> list[Markup]:
    """The outputs that say something, in order; the first is the cell's output number `first`."""
    shown: list[Markup] = []
    before: Markup | None = None
    for at, output in enumerate(outputs, first):
        if not isinstance(output, dict):
            continue
        markup = _Output(place, at).render(output)
        # Widgets in a loop give the same note for each; one is enough.
        is_repeated_note = markup == before and str(markup).startswith('<p class="note">')
        if markup and not is_repeated_note:
            shown.append(markup)
        before = markup
    return list(_with_figures_side_by_side(shown))


def _with_figures_side_by_side(shown: Iterable[Markup]) -> Iterator[Markup]:
    """Put figures that follow one another into rows, where they are many."""
    for are_figures, group in groupby(shown, _is_figure):
        outputs = list(group)
        if are_figures and len(outputs) >= _FEWEST_SIDE_BY_SIDE:
            yield element("div", *outputs, class_="side-by-side")
        else:
            yield from outputs


def _is_figure(markup: Markup) -> bool:
    # A figure with a note below it is more than a figure.
    return markup.startswith("<figure") and markup.endswith("</figure>")


@dataclass(frozen=True, slots=True)
class _Output:
    """The output number `at` of a cell."""

    place: OutputPlace
    at: int

    def render(self, output: Mapping[str, Any]) -> Markup | None:
        match output.get("output_type"):
            case "stream":
                text = joined_lines(output.get("text", ""))
                return self._stream(str(output.get("name", "stdout")), text)
            case "error":
                return self._error(output)
            case "display_data" | "execute_result" | "update_display_data" | "pyout":
                return self._bundle(
                    _dict_or_empty(output, "data"), _dict_or_empty(output, "metadata")
                )
        return None

    @property
    def _title(self) -> str:
        return f"{self.at} of {self.place.describes}"

    @property
    def _file_stem(self) -> str:
        return f"{self.place.stem}-{self.at}"

    # ----------------------------------------------------------------------- kinds of output
    def _stream(self, name: str, text: str) -> Markup | None:
        if not text:
            return None
        class_, label = "stream stdout", "Output"
        if name == "stderr":
            class_, label = "stream stderr", "Standard error"
        return self._text(as_printed(text), class_=class_, label=label)

    def _error(self, output: Mapping[str, Any]) -> Markup:
        text = ""
        traceback = output.get("traceback")
        if isinstance(traceback, list):
            text = "\n".join(map(str, traceback))
        if not text:
            text = f"{output.get('ename')}: {output.get('evalue')}"
        return self._text(text, class_="stream error", label="Error", is_open=True)

    def _bundle(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Markup | None:
        """Return the most informative form that needs no script, and a note on what it lacks."""
        is_record = any(mime.startswith(_RECORDS) for mime in data)
        if only_loads(data) or (is_record and "text/plain" not in data):
            return None

        is_plain = is_better_plain(data)
        interactive_forms: tuple[str, ...] = ()
        if not is_plain:
            interactive_forms = interactive_kinds(data)

        shown, problems = self._figure(data, metadata)
        if not shown and not is_plain:
            shown = self._html(data)
        if not shown:
            shown = self._text_form(data, has_more=bool(interactive_forms or problems))
        note = self._note_on_interactive(interactive_forms, shown)
        return fragment(shown, *problems, note) or self._note_on_unknown(data)

    # ------------------------------------------------------------------------------- pictures
    def _figure(
        self, data: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> tuple[Markup | None, list[Markup]]:
        """The first picture that can be shown; if none can, why not."""
        problems: list[Markup] = []
        for mime in SUFFIXES:
            if mime not in data:
                continue
            content = joined_lines(data[mime])
            try:
                address = self.place.album.keep(f"images/{self._file_stem}", mime, content)
            except BrokenPicture as error:
                problems.append(self._note(f"The picture ({mime}) cannot be shown, {error}"))
                continue
            # nbformat keys metadata by form; some libraries write them for the whole bundle.
            of_form = metadata.get(mime)
            if isinstance(of_form, dict):
                metadata = of_form
            return self._image(address, metadata, is_wide=is_wide(mime, content)), []
        return None, problems

    def _image(self, address: str, metadata: Mapping[str, Any], *, is_wide: bool) -> Markup:
        alt = metadata.get("alt")
        if not isinstance(alt, str) or not alt:
            alt = f"Figure made by {self.place.describes}"
        image = element(
            "img",
            src=address,
            alt=short_line(alt, _LONGEST_ALT),
            width=_pixels(metadata.get("width")),
            height=_pixels(metadata.get("height")),
        )
        class_ = None
        if is_wide:
            class_ = "wide"
        # The page shows it no wider than its column.
        return element("figure", element("a", image, href=address), class_=class_)

    # ----------------------------------------------------------------------------------- HTML
    def _html(self, data: Mapping[str, Any]) -> Markup | None:
        source = joined_lines(data.get("text/html", ""))
        if not source:
            return None
        if len(source) > INLINE_LIMIT:
            return self._long_html(source, joined_lines(data.get("text/plain", "")))

        # Two Styler tables may have the same ids, and with them each other's colours.
        source = rename_taken_table(source, self.place.ids)
        shown = self._sanitized(source, self._surroundings())
        if shown is None:
            return None
        label = f"Output {self._title}"
        if "<table" in shown:
            label = f"Table {self._title}"
            self.place.album.rules.extend(colour_rules(source))
        return _scrolling(shown, label)

    def _long_html(self, source: str, text: str) -> Markup | None:
        """Return the text form, and a link to the HTML on a page of its own."""
        words = None
        if not is_wordless(text):
            words = self._text(text, class_="result", label="Result")
        if len(source) > _PAGE_LIMIT:
            too_large = f"The HTML of this output is too large to be shown: {size(len(source))}"
            return fragment(words, self._note(too_large))

        # Addresses on the page lead out of another folder, and its ids are its own.
        album = Album(root=ROOT_FROM_OUTPUTS, files=self.place.album.files)
        around = Surroundings(album=album, stem=f"images/{self._file_stem}")
        shown = self._sanitized(source, around)
        if shown is None:
            return None
        album.rules.extend(colour_rules(source))
        link = element("a", "The whole output", href=self._keep_page(shown, around))
        return fragment(words, element("p", link, " is on a page of its own.", class_="note"))

    def _keep_page(self, shown: Markup, around: Surroundings) -> str:
        """Keep the page as a file and give its address."""
        path = f"outputs/{self._file_stem}"
        cell = f"{ROOT_FROM_OUTPUTS}{self.place.cell}"
        content = separate_page(
            f"Output {self._title}",
            [element("a", "back to the cell", href=cell, rel="up")],
            _scrolling(shown, "Output"),
            footer=self.place.notebook,
            sheet=around.album.keep_sheet(f"{path}.css"),
            ids=around.ids,
        )
        return self.place.album.keep_file(f"{path}.html", content)

    def _sanitized(self, source: str, around: Surroundings) -> Markup | None:
        """The HTML without what acts; None where nothing readable is left of it."""
        shown = from_html(source, around)
        if shown is not None and needs_more(source) and not is_readable_alone(shown):
            return None
        return shown

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            album=self.place.album, stem=f"images/{self._file_stem}-inside", ids=self.place.ids
        )

    # ----------------------------------------------------------------------------------- text
    def _text_form(self, data: Mapping[str, Any], *, has_more: bool) -> Markup | None:
        """`has_more`: whether the output has a form beside, which a page cannot show."""
        for mime in _TEXT_FORMS:
            if mime not in data:
                continue
            shown = self._text_of(mime, data[mime], has_more=has_more)
            if shown:
                return shown
        return None

    def _text_of(self, mime: str, value: object, *, has_more: bool) -> Markup | None:
        if mime == "application/json":
            text = as_json(value, indent=1)
            return self._text(text, class_="result", label="JSON", fold_lines=_FOLD_JSON_LINES)

        text = joined_lines(value)
        if mime == "text/markdown" and is_laid_out(text):
            if not text.strip():
                return None
            return element("div", from_markdown(text, self._surroundings()), class_="rich prose")
        if mime == "text/latex":
            formula = from_latex(text)
            if formula:
                return formula
        # The name of an object tells nothing beside a note on what it is.
        says_nothing = has_more and mime == "text/plain" and is_wordless(text)
        if not text or says_nothing:
            return None
        return self._text(text, class_="result", label="Result")

    def _text(
        self,
        text: str,
        *,
        class_: str,
        label: str,
        is_open: bool = False,
        fold_lines: int = _FOLD_LINES,
    ) -> Markup:
        """Text as it was printed: folded where it is long, its middle in a file where very long."""
        short = shorten(text, _TEXT_LIMIT)
        shown = [element("pre", ansi_to_html(short.head), class_=class_)]
        if short.left_out:
            shown.append(self._link_to_whole(text, short.left_out))
            shown.append(element("pre", ansi_to_html(short.tail), class_=class_))

        lines = text.count("\n")
        if not text.endswith("\n"):
            lines += 1
        if lines <= fold_lines and len(text) <= _FOLD_CHARACTERS:
            return fragment(*shown)
        summary = f"{label}: {counted(lines, 'line')}"
        # The last line of a log often is its result; that of JSON is a bracket.
        last = short_line(without_ansi(text[-2000:].rstrip().rpartition("\n")[2]), 60)
        if last and label != "JSON":
            summary += f", the last: {last}"
        return fold(summary, *shown, is_open=is_open or self.place.unfolded)

    def _link_to_whole(self, text: str, left_out: int) -> Markup:
        """A line on the file that holds the whole text."""
        content = clean(without_ansi(text)).encode()
        if not content.isascii():
            content = _BYTE_ORDER_MARK + content
        address = self.place.album.keep_file(f"outputs/{self._file_stem}.txt", content)
        link = element("a", f"the whole output ({size(len(content))})", href=address)
        words = f"… {left_out:,} characters are left out here: "
        return element("p", words, link, " …", class_="note")

    # ---------------------------------------------------------------------------------- notes
    def _note_on_interactive(self, forms: Sequence[str], shown: Markup | None) -> Markup | None:
        if not forms:
            return None
        names = " and ".join(forms)
        if shown:
            return self._note(f"The notebook shows {names} here, which needs more than a page")
        return self._note(f"This output is {names}, which a page without scripts cannot show")

    def _note_on_unknown(self, data: Mapping[str, Any]) -> Markup | None:
        """Return a note on unknown forms of output.

        HTML that shows nothing is a place for a script to fill.
        """
        others = []
        for mime, value in data.items():
            if mime != "text/html" and value not in _EMPTY:
                others.append(short_line(mime))
        if not others:
            return None
        return self._note(f"Not shown here: {', '.join(others)}")

    def _note(self, text: str) -> Markup:
        place = self.place
        notebook = notebook_link(place.notebook, place.addresses, root=place.album.root)
        return element("p", f"{text}; it is in ", notebook, ".", class_="note")


def _dict_or_empty(output: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of an output that should be an object: notebooks of damaged runs hold anything."""
    value = output.get(key)
    if isinstance(value, dict):
        return value
    return {}


def _scrolling(shown: Markup, label: str) -> Markup:
    """A box that scrolls by itself, so that a wide table does not make its page wider."""
    return element("div", shown, class_="rich scroll", tabindex=0, role="region", aria_label=label)


def _pixels(value: object) -> int | None:
    """A side of a picture as the notebook wants it; None where that is no sensible number."""
    # True is an int to Python.
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if not 0 < value <= _MOST_PIXELS:
        return None
    return value
