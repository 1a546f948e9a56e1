"""Masking, whole and in chunks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nbci.secrets import Mask, too_short

LETTERS = "ab1"
secrets = st.lists(st.text(LETTERS, min_size=4, max_size=8), min_size=1, max_size=3)
chunks = st.lists(st.text(LETTERS + " ", max_size=12), max_size=12)


@given(secrets, chunks)
def test_no_secret_survives_any_way_of_cutting(values: list[str], parts: list[str]) -> None:
    stream = Mask(values).stream()
    shown = "".join(stream.feed(part) for part in parts) + stream.flush()

    assert [value for value in values if value in shown] == []


@given(st.text(LETTERS + " ", max_size=40), st.lists(st.integers(0, 40)))
def test_text_without_secrets_passes_unchanged(text: str, cuts: list[int]) -> None:
    stream = Mask(["zzzz-secret"]).stream()
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]

    assert "".join(stream.feed(piece) for piece in pieces) + stream.flush() == text


@given(st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4 and "*" not in text), st.integers(0, 50))
def test_a_secret_is_masked_in_two_chunks(secret: str, cut: int) -> None:
    stream = Mask([secret]).stream()
    text = f"<<{secret}>>"
    shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush()

    assert secret not in shown


def test_forms_in_which_programs_print_secrets() -> None:
    mask = Mask(['p"ss/w rd\n', "-----BEGIN-----\nline-of-key\n-----END-----"])

    assert mask.text("u=p%22ss%2Fw%20rd%0A") == "u=***"
    assert mask.text(repr('p"ss/w rd\n')) == "'***'"
    assert mask.text("line-of-key") == "***"
    assert mask.json({"k": ['p"ss/w rd\n', 1, None, {"x": 2.5}]}) == {"k": ["***", 1, None, {"x": 2.5}]}


def test_short_secrets_are_named_instead_of_masked() -> None:
    assert Mask(["abc", ""]).text("abc") == "abc"
    assert too_short([("A", "abc"), ("B", "long-enough"), ("C", "")]) == ["A"]
