"""What the report's tests ask of HTML.

It keeps to Jenkins' policy, is well formed, and links to what is there.
"""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VOID = {"br", "col", "hr", "img", "link", "meta", "wbr"}
KNOWN = VOID | set(
    (
        "html head title body header main footer nav section h1 h2 h3 h4 h5 h6 p a ul ol li dl "
        "div dt dd span strong em b i code pre time table caption thead tbody tfoot tr th td "
        "details summary figure blockquote s figcaption svg path rect circle text g abbr bdi "
        "cite col colgroup del dfn figcaption ins kbd mark q samp small sub sup u var wbr math "
        "menclose mfenced mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot "
        "mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover "
        "none"
    ).split()
)
ATTRIBUTES = set(
    (
        "lang charset name content rel href src alt width height id class scope colspan rowspan "
        "datetime open tabindex role aria-label aria-labelledby aria-hidden start loading "
        "viewbox d x y cx cy r rx accent accentunder columnalign columnlines columnspacing "
        "depth display displaystyle fence form largeop linethickness lspace mathvariant maxsize "
        "minsize movablelimits notation rowlines rowspacing rspace scriptlevel separator "
        "stretchy symmetric voffset"
    ).split()
)


class Page(HTMLParser):
    """A page taken apart.

    Any element or attribute that is not expected, and any imbalance, is a fault.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs), attrs
        assert found.keys() <= ATTRIBUTES, attrs
        self.tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.images.append(found)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, as a reader has it."""
        return "".join(self.words)


def pages(files: Mapping[str, bytes]) -> dict[str, Page]:
    """Every page of a report.

    Checks that all of them are whole and lead only to what is there.
    """
    found = {
        path: Page(content.decode()) for path, content in files.items() if path.endswith(".html")
    }
    for path, page in found.items():
        assert files[path].startswith(b'<!doctype html>\n<html lang="en">')
        assert len(page.ids) == len(set(page.ids))
        for link in page.links:
            _check_link(path, link, found, files)
        for image in page.images:
            assert image["alt"]
            assert _resolved(path, image["src"]) in files
    return found


def _check_link(
    path: str, link: str, found: Mapping[str, Page], files: Mapping[str, bytes]
) -> None:
    if link.startswith(("https://", "http://", "mailto:")):
        return
    target, _, anchor = link.partition("#")
    where = path
    if target:
        where = _resolved(path, target)
    assert where in files, link
    assert where.endswith((".html", ".css", ".txt", ".png", ".svg", ".jpg")), link
    if anchor:
        assert anchor in found[where].ids, link


def _resolved(path: str, link: str) -> str:
    assert ":" not in link, link
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
