"""What was found out of a run since: whether it is reproduced, and why its metrics moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.blame.sentences import headline, interaction_text, share_rows, words_taken
from nbci.formatting.text import short_line
from nbci.proofs.sentences import item_details, item_name, try_words
from nbci.report.html.markup import Markup, element, fold, fragment, item_list, table
from nbci.report.html.page import section, time, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.blames import Blame
    from nbci.records.proof import Proof

_LONGEST = 500
_ITEMS_SHOWN = 50
_WORDS = {"identical": "passed", "close": "passed", "different": "failed"}
"""The results whose sign and colour stand for an answer."""


def proof_section(proofs: Sequence[Proof]) -> Markup | None:
    """The latest proof, and the sentences of those before it; None where there is none."""
    if not proofs:
        return None
    latest, *earlier = proofs
    parts = list(_proof_parts(latest))
    if earlier:
        parts.append(fold("Earlier proofs", item_list(map(_sentence, earlier))))
    class_ = None
    if latest.agreement == "different":
        class_ = "failed"
    return section("Proof", *parts, anchor="proof", class_=class_)


def _proof_parts(proof: Proof) -> Iterator[Markup]:
    yield element("p", verdict(_WORDS[proof.agreement]), " ", _sentence(proof))
    rows = []
    for step in proof.steps:
        for item in step.items:
            name = short_line(item_name(item), _LONGEST)
            details = short_line(item_details(item), _LONGEST)
            rows.append((step.step, name, item.agreement, details))
    if rows:
        heads = ("Step", "What", "Agreement", "Where and how")
        yield table("What is not the same bit for bit", heads, rows[:_ITEMS_SHOWN])
    if proof.cause is not None:
        tried = table(
            f"Step {proof.cause.step}, run alone, to find why",
            ("Held", "What came of it"),
            list(map(try_words, proof.cause.tried)),
        )
        yield fold("How the cause was looked for", tried)
    if proof.surroundings:
        texts = [short_line(text, _LONGEST) for text in proof.surroundings]
        yield fold("What else was not the same", item_list(texts), is_open=True)


def _sentence(proof: Proof) -> Markup:
    sentence = short_line(proof.sentence, _LONGEST)
    capital = sentence[:1].upper() + sentence[1:]
    by = element("span", time(proof.started_utc), ", run ", element("code", proof.proof))
    return element("span", capital, ". ", by)


def blame_section(blames: Sequence[Blame]) -> Markup | None:
    """Each answer, the newest first; None where nobody asked."""
    if not blames:
        return None
    return section("Why it moved", *map(_blame_answer, blames), anchor="why-it-moved")


def _blame_answer(blame: Blame) -> Markup:
    return fragment(*_blame_parts(blame))


def _blame_parts(blame: Blame) -> Iterator[Markup]:
    since = element("span", "since run ", element("code", blame.before), ", asked ")
    line = short_line(headline(blame), _LONGEST)
    yield element("p", element("strong", line), " ", since, time(blame.started_utc))
    rows = []
    for row in share_rows(blame)[:_ITEMS_SHOWN]:
        rows.append([short_line(cell, _LONGEST) for cell in row])
    if rows:
        yield table("The share of each part that differs", ("Part", "Share", "Note"), rows)
    together = interaction_text(blame)
    if together:
        yield element("p", short_line(together, _LONGEST))
    if blame.untried:
        texts = [short_line(text, _LONGEST) for text in blame.untried]
        yield fold("What else differs, and was not tried", item_list(texts))
    if blame.hybrids:
        yield element("p", f"Found by {words_taken(blame)}.", class_="note")
