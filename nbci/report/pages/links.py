"""Links from the report's pages to what lies outside of them, where the address is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.data.addresses import build_page
from nbci.report.html.markup import Markup, element, escape, fragment
from nbci.web_pages import build_words, change_words, checked_page

if TYPE_CHECKING:
    from nbci.records.run_record import RunRecord
    from nbci.report.data.addresses import Addresses


def link(words: str, address: str | None) -> Markup:
    """The words, as a link where there is an address."""
    if address is None:
        return escape(words)
    return element("a", words, href=address)


def run_link(run: str, addresses: Addresses, *, root: str = "") -> Markup:
    """A run's id; `root` leads from the page to the report's folder."""
    return link(element("code", run, class_="id"), _from_page(addresses.runs.get(run), root))


def with_run_linked(text: str, run: str, addresses: Addresses, *, root: str = "") -> Markup:
    """A sentence that names a run, with its id as a link."""
    address = _from_page(addresses.runs.get(run), root)
    if address is None:
        return escape(text)
    before, named, after = text.rpartition(run)
    if not named:
        return escape(text)
    return fragment(before, link(named, address), after)


def commit_link(commit: str, addresses: Addresses, *, length: int | None = None) -> Markup:
    """A commit, of which `length` digits are shown."""
    page = None
    if addresses.repository is not None:
        page = addresses.repository.commit_page(commit)
    return link(element("code", commit[:length]), page)


def change_link(record: RunRecord) -> Markup | None:
    """The pull request that the run was for."""
    # A record may come from a machine that is not trusted.
    page = checked_page(record.change)
    if page is None:
        return None
    return link(change_words(page), page)


def build_link(record: RunRecord) -> Markup | None:
    """The build that the run was part of."""
    page = build_page(record)
    if page is None:
        return None
    return link(build_words(page), page)


def notebook_link(path: str, addresses: Addresses, *, root: str) -> Markup:
    """An executed notebook by its path in the run's folder."""
    if path not in addresses.notebooks and addresses.files:
        files = link("the build's files", addresses.files)
        return fragment("the executed notebook, one of ", files)
    return link(element("code", path), _from_page(addresses.notebooks.get(path), root))


def _from_page(address: str | None, root: str) -> str | None:
    """An address out of the report's folder as the page leads to it."""
    if address is None or address.startswith(("https:", "http:")):
        return address
    return f"{root}{address}"
