"""Reports of hostile notebooks.

They ask for nothing outside, run nothing, and are written nowhere else.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree

import html5lib
import pytest

from nbci.report.render import render_report
from tests.report.hostile import NOTEBOOKS, OUTSIDE, hostile_material, render_corpus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ACTS = set(
    (
        "script iframe frame frameset object embed applet base form input button select "
        "textarea template audio video source picture portal noscript animate set handler "
        "listener foreignobject feimage"
    ).split()
)
_ADDRESSES = {
    "src",
    "href",
    "srcset",
    "action",
    "formaction",
    "background",
    "poster",
    "cite",
    "data",
    "ping",
}
_NEVER = {"target", "download", "http-equiv", "autofocus", "base"}


@pytest.fixture(scope="module")
def files() -> Mapping[str, bytes]:
    return render_report(hostile_material())


def faults(path: str, root: Any, files: Mapping[str, bytes]) -> Iterator[str]:
    """What of a page or drawing acts, or asks for what is not a file of the report."""
    is_page = path.endswith(".html")
    for node in root.iter():
        tag = _local(node.tag)
        if (
            tag in _ACTS
            or (is_page and tag == "style")
            or OUTSIDE in _asked_for(node.text if tag == "style" else "")
        ):
            yield f"<{tag}>"
        for name, value in node.attrib.items():
            local = _local(name)
            if (
                local.startswith("on")
                or local in _NEVER
                or (is_page and local == "style")
                or (local in _ADDRESSES and not _is_at_hand(path, tag, value, files))
                or _asked_for(value).replace("url(#", "").count("url(")
            ):
                yield f"<{tag} {name}={value!r}>"


def _local(name: object) -> str:
    return str(name).rpartition("}")[2].rpartition(":")[2].lower()


def _asked_for(css: str | None) -> str:
    return re.sub(r"[\s'\"\\]|/\*.*?\*/", "", css or "").lower()


def _is_at_hand(path: str, tag: str, value: str, files: Mapping[str, bytes]) -> bool:
    if value.startswith("#"):
        return True
    if path.endswith(".svg"):
        return (
            tag == "image"
            and re.match(r"data:image/(png|jpeg|gif|webp);base64,", value) is not None
        )
    if tag == "a" and re.match(r"https?://linked\.example/|mailto:", value):
        return True
    target = unquote(value.partition("#")[0])
    return (
        ":" not in value
        and posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in files
    )


def test_every_notebook_is_in_the_report(files: Mapping[str, bytes]) -> None:
    assert len([path for path in files if path.startswith("steps/")]) == len(NOTEBOOKS) + 1


def test_pages_are_valid_and_neither_act_nor_ask_for_anything(files: Mapping[str, bytes]) -> None:
    found = {}
    for path, content in files.items():
        if path.endswith(".html"):
            root = html5lib.HTMLParser(strict=True).parse(content.decode())
            found[path] = list(faults(path, root, files))
    assert {path: faults for path, faults in found.items() if faults} == {}
    assert len(found) > len(NOTEBOOKS)


def test_drawings_neither_act_nor_ask_for_anything(files: Mapping[str, bytes]) -> None:
    drawings = {path: content for path, content in files.items() if path.endswith(".svg")}
    for path, content in drawings.items():
        assert list(faults(path, ElementTree.fromstring(content), files)) == []
        assert OUTSIDE.encode() not in content
        assert b"<script" not in content
        assert b"javascript:" not in content
    assert len(drawings) > 10


def test_style_sheets_only_colour_cells(files: Mapping[str, bytes]) -> None:
    sheets = [content.decode() for path, content in files.items() if path.endswith("/cells.css")]
    assert sheets
    selector = r"(?:#u-T_[\w, #-]+|\.u-look-\d+)"
    declaration = r"(?:background|background-color|color): (?:#?\w+|var\(--\w+\)); "
    one = rf"{selector} \{{ (?:{declaration})+\}}\n"
    assert all(re.fullmatch(f"(?:{one})+", sheet) for sheet in sheets)


def test_text_that_is_kept_is_kept(files: Mapping[str, bytes]) -> None:
    """Sanitising is no way to lose what a notebook says."""
    pages = [content.decode() for path, content in files.items() if path.startswith("steps/")]
    assert sum(page.count("kept") for page in pages) > 100


def test_nothing_is_written_outside_the_folder(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    folder = tmp_path / "a" / "b" / "c" / "report"
    render_corpus(folder)
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == set(files)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        folder / path for path in files
    }
    assert all(
        re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._/-]*", path) and ".." not in path.split("/")
        for path in files
    )


def test_texts_beside_the_pages_are_texts(files: Mapping[str, bytes]) -> None:
    kinds = {posixpath.splitext(path)[1] for path in files}
    assert kinds <= {
        ".html",
        ".css",
        ".txt",
        ".png",
        ".svg",
        ".gif",
        ".jpg",
        ".webp",
        ".md",
        ".xml",
    }
