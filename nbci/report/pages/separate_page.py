"""A page beside a step's own page, for output that is too much for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.html.markup import Markup, element, fragment, item_list, optional
from nbci.report.html.page import page
from nbci.report.html.untrusted import without_dead_links

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT_FROM_OUTPUTS = "../../"
"""Leads from a page in `outputs/STEP/` to the report's folder."""


def separate_page(
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
    """Return the page's content.

    `sheet` is the address of its style sheet, `ids` are those that its main part has. `number` says
    which one it is of several.
    """
    header = fragment(
        element("nav", item_list(links), aria_label="Report"),
        element("h1", title),
        optional("p", intro),
    )
    name = title
    if number is not None:
        name = f"{title}, page {number}"
    content = page(
        name, root=ROOT_FROM_OUTPUTS, header=header, main=main, footer=footer, sheet=sheet
    )
    return without_dead_links(content.decode(), ids).encode()
