from __future__ import annotations

from xml.etree import ElementTree

import pytest

from nbci.report.html.svg_cleaning import NoDrawing, clean_svg

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
PNG = "data:image/png;base64,iVBORw0KGgo="


def test_drawing_loses_what_could_act() -> None:
    source = (
        f'{OPEN} onload="alert(1)"><script>alert(2)</script><rect width="5" '
        f'onclick="x()"/><style>rect {{fill: red}}'
        '</style><a xlink:href="javascript:alert(3)" target="_blank">'
        '<set attributeName="href" to="javascript:x"/></a></svg>'
    )
    kept = clean_svg(source).decode()
    assert not [
        part for part in ("alert", "onclick", "javascript", "<set", "target") if part in kept
    ]
    assert '<rect width="5" />' in kept
    assert "rect {fill: red}" in kept


@pytest.mark.parametrize(
    "inside",
    [
        '<use xlink:href="#a"/>',
        '<rect fill="url(#gradient)" style="fill: url(\'#gradient\'); stroke: none" id="curl"/>',
        f'<image xlink:href="{PNG}" width="5"/>',
        "<style>.a {clip-path: url(#clip)}</style>",
        '<text font-family="DejaVu Sans" transform="rotate(3)">a &amp; b</text>',
    ],
)
def test_what_drawings_are_made_of_is_kept(inside: str) -> None:
    before = ElementTree.fromstring(f"{OPEN}>{inside}</svg>")
    after = ElementTree.fromstring(clean_svg(f"{OPEN}>{inside}</svg>"))
    assert [(node.tag, node.attrib, node.text) for node in after.iter()] == [
        (node.tag, node.attrib, node.text) for node in before.iter()
    ]


@pytest.mark.parametrize(
    "inside",
    [
        '<use xlink:href="https://example.org/a.svg#a"/>',
        '<use href="other.svg#a"/>',
        '<image xlink:href="https://example.org/a.png"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<rect fill="url(https://example.org/#a)"/>',
        '<rect style="fill: u\\72l(https://example.org/)"/>',
        '<rect style="fill: ur/**/l(https://example.org/)"/>',
        '<rect style="/*/*/ fill: url(https://example.org/)"/>',
        "<style>a {b: '/*'} rect {fill: url(https://example.org/)} c {d: '*/'}</style>",
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>.a {background: url( 'https://example.org/a.png' )}</style>",
        "<style>@font-face {src: url(#a)}</style>",
        "<foreignObject><p>example.org</p></foreignObject>",
        '<animate attributeName="href" values="https://example.org"/>',
        '<g xml:base="https://example.org/"/>',
        '<a href="https://example.org/"/>',
        '<x:script xmlns:x="http://www.w3.org/1999/xhtml">example.org</x:script>',
        '<feImage href="https://example.org/"/>',
        "<metadata>example.org</metadata>",
    ],
)
def test_nothing_outside_is_asked_for(inside: str) -> None:
    kept = clean_svg(
        f'<?xml-stylesheet href="https://example.org/"?>{OPEN}>{inside}</svg>'
    ).decode()
    assert "example.org" not in kept
    assert "href=" not in kept


def test_svg_as_html_has_it_gets_its_namespace() -> None:
    assert b'<svg xmlns="http://www.w3.org/2000/svg">' in clean_svg("<svg><rect/></svg>")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "no svg",
        "<html/>",
        "<svg><rect></svg>",
        '<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>',
        "<svg>" + "<g>" * 100_000 + "</g>" * 100_000 + "</svg>",
    ],
)
def test_what_is_no_drawing_is_refused(source: str) -> None:
    with pytest.raises(NoDrawing):
        clean_svg(source)
