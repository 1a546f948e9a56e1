from __future__ import annotations

import pytest
from report_pages import Page
from report_samples import FRAME

from nbci.report.untrusted import filtered, from_markdown


def test_table_of_pandas_is_kept_without_styles_and_attributes() -> None:
    kept = filtered(FRAME) or ""
    assert "<td>zero &amp; none</td>" in kept
    assert "style" not in kept
    assert "class" not in kept


def test_spans_and_scopes_are_kept() -> None:
    source = '<table><tr><th colspan="2" scope="col" rowspan="0" onclick="x">a</th></tr></table>'
    assert filtered(source) == '<table><tr><th colspan="2" scope="col">a</th></tr></table>'


@pytest.mark.parametrize(
    "source",
    [
        "<script>1</script>",
        "<table><tr><td><img src=x onerror=1></td></tr></table>",
        "<p><a href='javascript:1'>a</a></p>",
        "<b>a</b><iframe></iframe>",
        "<svg><style><img src=x></style></svg>",
        "<form><p>a</p></form>",
        "<div></div>",
        "<style>p {}</style>",
        "",
    ],
)
def test_anything_else_is_refused(source: str) -> None:
    assert filtered(source) is None


@pytest.mark.parametrize(
    "source", ["<div><b>a</div></b></p>", "</div></main>x", "<table><tr><td>a", "<b><!-- <i> -->a", "a<br>b"]
)
def test_what_is_kept_is_balanced(source: str) -> None:
    Page(filtered(source) or "")


def test_markdown_shows_html_as_text_and_pictures_by_description() -> None:
    shown = from_markdown(
        "# A <b>b</b>\n\n![a plot](https://example.org/p.png) [x](https://example.org/) [y](other.ipynb)\n"
    )
    assert "<h3>A &lt;b&gt;b&lt;/b&gt;</h3>" in shown
    assert "[picture: a plot]" in shown
    assert '<a href="https://example.org/">x</a>' in shown
    assert ">y<" not in shown


@pytest.mark.parametrize(
    "source",
    [
        "[a](javascript:alert(1))",
        "[a](data:image/png;base64,x)",
        "<https://x> <javascript:x>",
        "[![p](x)](y) [a]",
        "|a|\n|-:|\n|1|",
    ],
)
def test_markdown_does_nothing(source: str) -> None:
    page = Page(from_markdown(source))
    assert all(link.startswith("https://") for link in page.links)
