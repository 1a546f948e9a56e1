from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbci.report.html.pictures import Album
from nbci.report.html.untrusted import Surroundings, from_html, from_markdown, without_dead_links
from tests.report.report_pages import Page
from tests.report.report_samples import FRAME, PNG


def around(**attachments: Any) -> Surroundings:
    return Surroundings(album=Album(root="../"), stem="images/s/cell-1", attachments=attachments)


def test_table_of_pandas_is_kept_without_styles_and_attributes() -> None:
    kept = from_html(FRAME) or ""
    assert "<td>zero &amp; none</td>" in kept
    assert "style" not in kept
    assert "class" not in kept


def test_spans_and_scopes_are_kept() -> None:
    source = '<table><tr><th colspan="2" scope="col" rowspan="0" onclick="x">a</th></tr></table>'
    assert '<th colspan="2" scope="col">a</th>' in (from_html(source) or "")


@pytest.mark.parametrize(
    "source",
    [
        "<script>1</script>",
        "<style>p {}</style>",
        "<iframe srcdoc='<p>a'></iframe>",
        "<svg><style><img src=x></style></svg>",
        "<div></div>",
        "<p>&nbsp;</p>",
        "",
    ],
)
def test_nothing_is_made_of_what_says_nothing(source: str) -> None:
    assert from_html(source) is None


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("<p><a href='javascript:1'>a</a></p>", "<p><a>a</a></p>"),
        (
            "<p><a href=' https://example.org/?a=1&b=2 ' target=_blank>a</a></p>",
            '<p><a href="https://example.org/?a=1&amp;b=2">a</a></p>',
        ),
        ("<a href='//example.org'>a</a>", "<a>a</a>"),
        ("<a href='other.ipynb'>a</a>", "<a>a</a>"),
        ("<b>a</b><iframe></iframe>", "<b>a</b>"),
        ("<a href='https://example.org/'> </a><b>a</b>", "<b>a</b>"),
        ("<form action=x><p>a<input name=b></p></form>", "<p>a</p>"),
        ("<h1 style='color: red'>a</h1>", "<h3>a</h3>"),
        ("<details><summary>a</summary>b</details>", "<details><summary>a</summary>b</details>"),
        (
            "<div class='alert alert-info cell' id=content>a</div>",
            '<div class="alert alert-info">a</div>',
        ),
        ("<img src='https://example.org/a.png' alt='a plot'>", "[picture: a plot]"),
        ("<p><marquee><p>a</p></marquee></p>", "<p></p><p>a</p><p></p>"),
    ],
)
def test_what_is_left_of_html(source: str, kept: str) -> None:
    assert from_html(source) == kept


@pytest.mark.parametrize(
    "source",
    ["<div><b>a</div></b></p>", "</div></main>x", "<table><tr><td>a", "<b><!-- <i> -->a", "a<br>b"],
)
def test_what_is_kept_is_balanced(source: str) -> None:
    Page(from_html(source) or "")


def test_ids_and_links_to_them_keep_to_themselves() -> None:
    place = around()
    html = '<a id="content" href="#content">a</a><a href="#nowhere">b</a><p id="content">c</p>'
    assert without_dead_links(from_html(html, place) or "", place.ids) == (
        '<a id="u-content" href="#u-content">a</a><a>b</a><p>c</p>'
    )


def test_headings_can_be_linked_to_as_in_jupyter() -> None:
    place = around()
    shown = from_markdown("# Two words\n\n[to](#Two-words)\n", place)
    assert '<h3 id="u-Two-words">Two words</h3>' in shown
    assert '<a href="#u-Two-words">to</a>' in without_dead_links(shown, place.ids)


def test_attached_and_inline_pictures_become_files() -> None:
    place = around(**{"a b.png": {"image/png": PNG}})
    svg = base64.b64encode(
        b"<svg xmlns='http://www.w3.org/2000/svg'><rect onclick='x'/></svg>"
    ).decode()
    shown = from_markdown(
        (
            f"![one](attachment:a%20b.png) ![two](data:image/png;base64,{PNG}) "
            f"![three](data:image/svg+xml;base64,{svg})"
        ),
        place,
    )
    assert shown.count('src="../images/s/cell-1-') == 3
    assert sorted(place.album.files) == [
        f"images/s/cell-1-{at}" for at in ("1.png", "2.png", "3.svg")
    ]
    assert b"onclick" not in place.album.files["images/s/cell-1-3.svg"]


@pytest.mark.parametrize(
    "address", ["attachment:none.png", "plots/a.png", "data:image/png;base64,AAAA", "//x/a.png"]
)
def test_pictures_that_are_not_to_be_had_are_told(address: str) -> None:
    place = around()
    assert from_markdown(f"![a plot]({address})", place) == "<p>[picture: a plot]</p>\n"
    assert not place.album.files


def test_html_in_markdown_is_sanitised() -> None:
    shown = from_markdown(
        "# A <b onclick=x>b</b>\n\n<div class='alert alert-warning'>\n\nmind *this*\n\n"
        "</div>\n\n<script>1</script>"
    )
    assert "A <b>b</b></h3>" in shown
    assert '<div class="alert alert-warning">\n<p>mind <em>this</em></p>\n</div>' in shown
    assert "script" not in shown


def test_formulas_in_markdown() -> None:
    shown = from_markdown(
        "It is $x^2$, for $5 and $6.\n\n$$\n\\frac{a}{b}\n$$\n\n`$y$` and $\\foo$\n"
    )
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in shown
    assert "for $5 and $6." in shown
    assert '<math display="block"><mrow><mfrac>' in shown
    assert "<code>$y$</code> and <code>$\\foo$</code>" in shown


def test_alignment_of_markdown_tables_is_a_class() -> None:
    assert '<td class="to-right">1</td>' in from_markdown("|a|\n|-:|\n|1|")


def test_markup_nested_too_deeply_is_shown_as_text() -> None:
    assert (from_html("<div>" * 50_000) or "").startswith("<pre>\n&lt;div&gt;")


MARKED = [
    "[a](javascript:alert(1))",
    "[a](data:image/png;base64,x)",
    "<https://x> <javascript:x>",
    "[![p](x)](y) [a]",
    "![x](x){onerror=1}",
    '<a href="jav&#x09;ascript:alert(1)">a</a>',
    "<img src=x onerror=alert(1)>",
    "<img alt='&#xFDD0;0&#xFDD1;'> $x$",
    "&#xFDD0;7&#xFDD1; $x$",
    "$\\text{</math><img src=x onerror=alert(1)>}$ $\\text{&lt;script&gt;}$",
    "$\\href{javascript:alert(1)}{x}$ $\\style{x:y}{z}$",
    "<svg><a xlink:href='javascript:alert(1)'><text>a</text></a></svg>",
    (
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 '
        'onerror=alert(1)&gt;">'
    ),
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "<p><table><p></table><a><table><a>x",
    "</pre></code></main><base href=//x><meta http-equiv=refresh content=0>",
]


@pytest.mark.parametrize("source", MARKED)
def test_markup_does_nothing(source: str) -> None:
    for shown in (from_markdown(source, around()), from_html(source, around()) or ""):
        page = Page(shown)
        assert all(link.startswith("https://") for link in page.links)
        assert "\ufdd0" not in shown
        assert "onerror" not in "".join(f"{image}" for image in page.images)


PIECES = st.sampled_from(
    "<p> </p> <a href=x> </a> <b> </b> <table> <tr> <td> </table> <svg> </svg> <math> "
    "<mtext> </math> <style> </style>"
    " <!-- --> <img src=x onerror=y> <form> <select> <option> <button> </button> "
    "<template> <noscript> <title> <pre>"
    " </pre> <li> <dd> $ ` \" ' \n > [x](y) <h1> <details> <summary> <iframe> <![CDATA["
    " ]]> <?x &lt; &#xFDD0;0&#xFDD1;".split(" ")
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_no_markup_breaks_a_page(source: str) -> None:
    Page(from_html(source, around()) or "")
    Page(from_markdown(source, around()))
