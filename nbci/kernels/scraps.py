"""Reads scraps, the records that scrapbook's `sb.glue` leaves among outputs, without scrapbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.graph import by_name
from nbci.records.run_record import Scrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# https://nteract-scrapbook.readthedocs.io: the media types of its encoders for JSON and text.
PAYLOADS = ("application/scrapbook.scrap.json+json", "application/scrapbook.scrap.text+json")


def scrap_of(content: Mapping[str, Any], cell: int | None) -> Scrap | None:
    """The scrap that a display output carries, if it does."""
    metadata = content.get("metadata") or {}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("scrapbook"), dict):
        return None
    data = content.get("data") or {}
    for payload in PAYLOADS:
        record = data.get(payload)
        if isinstance(record, dict) and "name" in record:
            return Scrap(name=str(record["name"]), data=record.get("data"), cell=cell)
    return None


def last_of_each_name(scraps: Iterable[Scrap]) -> tuple[Scrap, ...]:
    """Scraps without those that a later one of the same name replaces."""
    return tuple(by_name(scraps).values())
