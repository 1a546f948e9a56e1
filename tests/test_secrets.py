"""Masking, whole and in chunks."""

from __future__ import annotations

import base64
import html
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nbci.secrets import Mask, credentials, too_short

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


@given(st.binary(max_size=6), st.text(min_size=6), st.binary(max_size=6), st.integers(0, 60))
def test_a_secret_within_base64_is_masked_whole_and_in_two_chunks(
    before: bytes, secret: str, after: bytes, cut: int
) -> None:
    plain = secret.encode(errors="surrogateescape")
    text = base64.b64encode(before + plain + after).decode()
    if "*" in secret:
        return
    stream = Mask([secret]).stream()
    shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush()

    # A character at either end may hold bits of its neighbours.
    inner = text[(len(before) * 8 + 5) // 6 : (len(before) + len(plain)) * 8 // 6]
    assert inner not in shown
    assert "***" in shown


def test_other_encodings() -> None:
    mask = Mask(['p<ss>/w"rd+1'])

    assert mask.text(b'p<ss>/w"rd+1'.hex()) == "***"
    assert mask.text(html.escape('p<ss>/w"rd+1')) == "***"
    assert mask.text("p%3css%3e%2fw%22rd%2b1") == "***"
    assert mask.text(base64.urlsafe_b64encode(b'p<ss>/w"rd+1').decode().rstrip("=")) in ("***", "***Q")


def test_what_looks_like_a_credential_in_an_environment() -> None:
    environ = {
        "GITHUB_TOKEN": "ghp_abcdefgh123",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
        "WAREHOUSE": "postgres://me:pa%40ssword9@warehouse/db",
        "OPENAI_API_KEY": "sk-abcdefgh",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPL",
        "SSH_AUTH_SOCK": "/tmp/agent.1",
        "TOKEN_FILE": "/run/secrets/token",
        "TOKENIZERS_PARALLELISM": "false",
        "MAX_TOKENS": "1000000000",
        "DB_PASSWORD": "password",
        "PATH": "/usr/bin:/bin",
        "AUTHOR": "Jane Doe 1234",
    }

    assert credentials(environ) == {
        "GITHUB_TOKEN": "ghp_abcdefgh123",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
        "WAREHOUSE": "pa@ssword9",
        "OPENAI_API_KEY": "sk-abcdefgh",
    }
