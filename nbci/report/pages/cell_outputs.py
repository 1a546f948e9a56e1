"""One cell's outputs as HTML, and the pictures and long texts in them as files."""

from __future__ import annotations

from dataclasses import dataclass
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
from nbci.report.html.ansi import coloured
from nbci.report.html.colours import colour_rules, renamed
from nbci.report.html.interactive import (
    is_better_plain,
    is_readable_alone,
    is_wordless,
    lively_forms,
    needs_more,
    only_loads,
)
from nbci.report.html.markup import Markup, element, folded, fragment
from nbci.report.html.mathml import from_latex
from nbci.report.html.page import page
from nbci.report.html.pictures import SUFFIXES, Album, BrokenPicture
from nbci.report.html.untrusted import Surroundings, from_html, from_markdown, settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INLINE_LIMIT = 100_000
APART = "../../"
"""Leads from a page of `outputs/` to the report's folder."""
_TEXT_LIMIT = 30_000
_PAGE_LIMIT = 5_000_000
_FOLD_LINES = 40
_FOLD_CHARACTERS = 8_000
_FOLD_JSON_LINES = 12
_EMPTY: tuple[object, ...] = ("", [], {}, None)
_RECORDS = "application/scrapbook.scrap"
_SPOKEN = ("text/markdown", "text/latex", "application/json", "text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlace:
    """Where a cell's outputs are shown.

    `stem`: the cell's part of its files' names; `notebook`: what holds the whole.

    `cell` is the address of the cell, from the report's folder.
    `ids` are those that untrusted markup has taken on the page.
    """

    album: Album
    stem: str
    describes: str
    notebook: str
    cell: str
    ids: set[str]
    unfolded: bool = False


@dataclass(frozen=True, slots=True)
class _Rendering:
    place: OutputPlace

    def output(self, at: int, output: Mapping[str, Any]) -> Markup | None:
        match output.get("output_type"):
            case "stream":
                return self.stream(
                    at, str(output.get("name", "stdout")), joined_lines(output.get("text", ""))
                )
            case "error":
                return self.error(at, output)
            case "display_data" | "execute_result" | "update_display_data" | "pyout":
                data, metadata = output.get("data"), output.get("metadata")
                return self.data(
                    at,
                    data if isinstance(data, dict) else {},
                    metadata if isinstance(metadata, dict) else {},
                )
        return None

    def stream(self, at: int, name: str, text: str) -> Markup | None:
        is_error = name == "stderr"
        label = "Standard error" if is_error else "Output"
        class_ = f"stream {'stderr' if is_error else 'stdout'}"
        return self.text(at, as_printed(text), class_=class_, label=label) if text else None

    def error(self, at: int, output: Mapping[str, Any]) -> Markup:
        traceback = output.get("traceback")
        lines = [str(line) for line in traceback] if isinstance(traceback, list) else []
        text = "\n".join(lines) or f"{output.get('ename')}: {output.get('evalue')}"
        return self.text(at, text, class_="stream error", label="Error", is_open=True)

    def data(self, at: int, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Markup | None:
        """Return the most informative form that needs no script, and a note on what it lacks."""
        if only_loads(data) or (
            any(mime.startswith(_RECORDS) for mime in data) and "text/plain" not in data
        ):
            return None
        figure, broken = self.figure(at, data, metadata)
        lively = () if is_better_plain(data) else lively_forms(data)
        shown = (
            figure or self.html(at, data) or self.spoken(at, data, has_more=bool(lively or broken))
        )
        return fragment(shown, *broken, self.lively(lively, shown)) or self.unknown(data)

    def figure(
        self, at: int, data: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> tuple[Markup | None, list[Markup]]:
        broken: list[Markup] = []
        for mime in SUFFIXES:
            if mime not in data:
                continue
            try:
                address = self.place.album.keep(
                    f"images/{self.place.stem}-{at}", mime, joined_lines(data[mime])
                )
            except BrokenPicture as error:
                broken.append(self.note(f"The picture ({mime}) cannot be shown, {error}"))
                continue
            of_mime = metadata.get(mime)
            return self.image(address, of_mime if isinstance(of_mime, dict) else metadata), []
        return None, broken

    def image(self, address: str, metadata: Mapping[str, Any]) -> Markup:
        alt = metadata.get("alt")
        width, height = (_pixels(metadata.get(side)) for side in ("width", "height"))
        described = (
            alt if isinstance(alt, str) and alt else f"Figure made by {self.place.describes}"
        )
        return element(
            "figure",
            element("img", src=address, alt=short_line(described, 200), width=width, height=height),
        )

    def html(self, at: int, data: Mapping[str, Any]) -> Markup | None:
        source = joined_lines(data.get("text/html", ""))
        if not source or is_better_plain(data):
            return None
        if len(source) > INLINE_LIMIT:
            return self.html_beside(at, source, joined_lines(data.get("text/plain", "")))
        source = renamed(source, self.place.ids)
        shown = from_html(source, self.around(at))
        if shown is None or (needs_more(source) and not is_readable_alone(shown)):
            return None
        has_table = "<table" in shown
        if has_table:
            self.place.album.rules.extend(colour_rules(source))
        label = f"{'Table' if has_table else 'Output'} {at} of {self.place.describes}"
        return element(
            "div", shown, class_="rich scroll", tabindex=0, role="region", aria_label=label
        )

    def html_beside(self, at: int, source: str, text: str) -> Markup | None:
        """Return HTML that is too long for the step's page as a separate page."""
        if len(source) > _PAGE_LIMIT:
            words = (
                None if is_wordless(text) else self.text(at, text, class_="result", label="Result")
            )
            return fragment(
                words,
                self.note(f"The HTML of this output is too large to be shown: {size(len(source))}"),
            )
        album = Album(root=APART, files=self.place.album.files)
        around = Surroundings(album=album, stem=f"images/{self.place.stem}-{at}")
        shown = from_html(source, around)
        if shown is None or (needs_more(source) and not is_readable_alone(shown)):
            return None
        title = f"Output {at} of {self.place.describes}"
        main = element(
            "div", shown, class_="rich scroll", tabindex=0, role="region", aria_label="Output"
        )
        path = f"outputs/{self.place.stem}-{at}"
        album.rules.extend(colour_rules(source))
        sheet = album.keep_sheet(f"{path}.css")
        back = element("a", "back to the cell", href=f"{APART}{self.place.cell}", rel="up")
        whole = page_apart(
            title, [back], main, footer=self.place.notebook, sheet=sheet, ids=around.ids
        )
        address = self.place.album.keep_file(f"{path}.html", whole)
        return fragment(
            None if is_wordless(text) else self.text(at, text, class_="result", label="Result"),
            element(
                "p",
                element("a", "The whole output", href=address),
                " is on a page of its own.",
                class_="note",
            ),
        )

    def spoken(self, at: int, data: Mapping[str, Any], *, has_more: bool) -> Markup | None:
        for mime in _SPOKEN:
            if mime in data and (shown := self.words(at, mime, data[mime], has_more=has_more)):
                return shown
        return None

    def words(self, at: int, mime: str, value: object, *, has_more: bool) -> Markup | None:
        if mime == "application/json":
            return self.text(
                at,
                as_json(value, indent=1),
                class_="result",
                label="JSON",
                fold_lines=_FOLD_JSON_LINES,
            )
        text = joined_lines(value)
        if mime == "text/markdown" and len(text) <= INLINE_LIMIT:
            return (
                element("div", from_markdown(text, self.around(at)), class_="rich prose")
                if text.strip()
                else None
            )
        if mime == "text/latex" and (formula := from_latex(text)):
            return formula
        if not text or (has_more and mime == "text/plain" and is_wordless(text)):
            return None
        return self.text(at, text, class_="result", label="Result")

    def around(self, at: int) -> Surroundings:
        return Surroundings(
            album=self.place.album, stem=f"images/{self.place.stem}-{at}-inside", ids=self.place.ids
        )

    def lively(self, forms: Sequence[str], shown: Markup | None) -> Markup | None:
        if not forms:
            return None
        if shown:
            return self.note(
                f"The notebook shows {' and '.join(forms)} here, which needs more than a page"
            )
        return self.note(
            f"This output is {' and '.join(forms)}, which a page without scripts cannot show"
        )

    def unknown(self, data: Mapping[str, Any]) -> Markup | None:
        """Return a note on unknown forms of output.

        HTML that shows nothing is a place for a script to fill.
        """
        others = [
            short_line(mime)
            for mime, value in data.items()
            if mime != "text/html" and value not in _EMPTY
        ]
        if not others:
            return None
        return self.note(f"Not shown here: {', '.join(others)}")

    def note(self, text: str) -> Markup:
        return element(
            "p", f"{text}; it is in ", element("code", self.place.notebook), ".", class_="note"
        )

    def text(
        self,
        at: int,
        text: str,
        *,
        class_: str,
        label: str,
        is_open: bool = False,
        fold_lines: int = _FOLD_LINES,
    ) -> Markup:
        short = shorten(text, _TEXT_LIMIT)
        shown: list[str] = [element("pre", coloured(short.head), class_=class_)]
        if short.left_out:
            shown.append(self.beside(at, text, short.left_out))
            shown.append(element("pre", coloured(short.tail), class_=class_))
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines <= fold_lines and len(text) <= _FOLD_CHARACTERS:
            return fragment(*shown)
        last = short_line(without_ansi(text[-2000:].rstrip().rpartition("\n")[2]), 60)
        summary = f"{label}: {counted(lines, 'line')}" + (
            f", the last: {last}" if last and label != "JSON" else ""
        )
        return folded(summary, *shown, is_open=is_open or self.place.unfolded)

    def beside(self, at: int, text: str, left_out: int) -> Markup:
        """A line on the file that holds the whole text."""
        content = clean(without_ansi(text)).encode()
        # A server or a disk may not say that it is UTF-8; the mark at its start does.
        marked = content if content.isascii() else b"\xef\xbb\xbf" + content
        address = self.place.album.keep_file(f"outputs/{self.place.stem}-{at}.txt", marked)
        link = element("a", f"the whole output ({size(len(marked))})", href=address)
        return element(
            "p", f"… {left_out:,} characters are left out here: ", link, " …", class_="note"
        )


def page_apart(
    title: str,
    links: Sequence[Markup],
    main: Markup,
    *,
    footer: str,
    sheet: str | None,
    ids: set[str],
    number: int | None = None,
    intro: str | None = None,
) -> bytes:
    """Return a page, two folders down, for output that is too much for the step's own page.

    `number` says which one it is of several.
    """
    header = fragment(
        element(
            "nav", element("ul", *(element("li", link) for link in links)), aria_label="Report"
        ),
        element("h1", title),
        element("p", intro) if intro else None,
    )
    name = f"{title}, page {number}" if number is not None else title
    whole = page(name, root=APART, header=header, main=main, footer=footer, sheet=sheet)
    return settled(whole.decode(), ids).encode()


def _pixels(value: object) -> int | None:
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 10_000
        else None
    )


def rendered(outputs: Sequence[Any], place: OutputPlace, *, first: int = 1) -> list[Markup]:
    """The outputs that say something, in order; the first is the cell's output number `first`."""
    rendering = _Rendering(place)
    shown = [
        rendering.output(at, output)
        for at, output in enumerate(outputs, first)
        if isinstance(output, dict)
    ]
    return [
        markup
        for at, markup in enumerate(shown)
        if markup and not (at and _is_said_again(markup, shown[at - 1]))
    ]


def _is_said_again(markup: Markup, before: Markup | None) -> bool:
    return markup == before and markup.startswith('<p class="note">')
