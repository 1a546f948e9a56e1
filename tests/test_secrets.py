"""Masking, whole and in chunks."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.secrets import Mask, credentials, too_short

if TYPE_CHECKING:
    from collections.abc import Callable

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


@given(
    st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4 and "*" not in text),
    st.integers(0, 50),
)
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
    assert mask.json({"k": ['p"ss/w rd\n', 1, None, {"x": 2.5}]}) == {
        "k": ["***", 1, None, {"x": 2.5}]
    }


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


def test_a_secret_that_is_no_utf_8_is_masked() -> None:
    """As `os.environ` has the value of a variable that holds such bytes."""
    mask = Mask(["pass\udcffword"])

    assert mask.text("pass\udcffword, pass%FFword") == "***, ***"


def test_other_encodings() -> None:
    mask = Mask(['p<ss>/w"rd+1'])

    assert mask.text(b'p<ss>/w"rd+1'.hex()) == "***"
    assert mask.text(html.escape('p<ss>/w"rd+1')) == "***"
    assert mask.text("p%3css%3e%2fw%22rd%2b1") == "***"
    assert mask.text(base64.urlsafe_b64encode(b'p<ss>/w"rd+1').decode().rstrip("=")) in (
        "***",
        "***Q",
    )


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


SECRET = "S3cr3tValue99"
ODD = 'p"ä\\ss/w<b>rd&1'


def each_way(text: str, secret: str) -> list[str]:
    """The text masked whole, and in two chunks for each place where it can be cut."""
    shown = [Mask([secret]).text(text)]
    for at in range(len(text) + 1):
        stream = Mask([secret]).stream()
        shown.append(stream.feed(text[:at]) + stream.feed(text[at:]) + stream.flush())
    return shown


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\x1b[1mpw=S3cr\x1b[0m3tValue99", id="colour"),
        pytest.param(
            "".join(f"\x1b[3{at % 8}m{letter}" for at, letter in enumerate(SECRET)), id="rainbow"
        ),
        pytest.param("S3cr\x1b]8;;http://x\x1b\\3tValue99\x1b]8;;\x07", id="link"),
        pytest.param("S3cr\x9b3tValue99".replace("\x9b", "\x1b[38;5;12m"), id="256 colours"),
        pytest.param("xx\b\bS3cq\br3tValue99", id="backspace"),
        pytest.param(
            "".join(f"{letter}\b{letter}" for letter in SECRET), id="bold by overstriking"
        ),
        pytest.param("XXXX3tValue99\rS3cr", id="carriage return"),
        pytest.param("loading\r\x1b[KS3cr\x1b[2C\x1b[2D3tValue99", id="cursor"),
        pytest.param("S3cr\u200b3t\u2060Value\u00ad99", id="zero width"),
        pytest.param("S3<b class='x'>cr</b>3t<!-- no -->Value99", id="tags"),
        pytest.param("S3cr<style>b {}</style>3tValue99", id="style"),
        pytest.param("".join(f"&#{ord(letter)};" for letter in SECRET), id="entities"),
        pytest.param(html.escape("S3<b>cr</b>3tValue99"), id="escaped tags"),
        pytest.param("".join(f"\\u{ord(letter):04x}" for letter in SECRET), id="JSON's escapes"),
        pytest.param("".join(f"\\x{ord(letter):02x}" for letter in SECRET), id="Python's escapes"),
        pytest.param("".join(f"%{ord(letter):02x}" for letter in SECRET), id="URL"),
        pytest.param(json.dumps("S3cr\x1b[0m3tValue99"), id="colour in JSON"),
        pytest.param(repr("S3cr\x1b[0m3tValue99"), id="colour in repr"),
        pytest.param(json.dumps(json.dumps("S3cr\x1b[0m3tValue99")), id="colour in JSON in JSON"),
        pytest.param("S3\x1b[1mc<i>r3</i>tVal&#117;e99", id="all of them"),
    ],
)
def test_what_a_person_would_see_is_masked(text: str) -> None:
    wrong = [shown for shown in each_way(text, SECRET) if "***" not in shown or seen(shown, SECRET)]
    assert wrong == []


def seen(shown: str, secret: str) -> bool:
    """Whether what was masked still shows the secret, looked at with the tools of others."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\\+(x1b|u001b)\[[0-9;]*m", "", shown)
    return secret in plain or secret in html.unescape(re.sub("<[^>]*>", "", plain))


def in_json(text: str) -> str:
    return json.dumps({"password": text})


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param(lambda text: repr(text.encode()), id="repr of bytes"),
        pytest.param(ascii, id="ascii"),
        pytest.param(in_json, id="JSON"),
        pytest.param(lambda text: in_json(in_json(text)), id="JSON in JSON"),
        pytest.param(lambda text: in_json(in_json(in_json(text))), id="JSON thrice"),
        pytest.param(lambda text: repr(in_json(text).encode()), id="repr of JSON's bytes"),
        pytest.param(
            lambda text: base64.b64encode(in_json(text).encode()).decode(), id="base64 of JSON"
        ),
        pytest.param(
            lambda text: base64.urlsafe_b64encode(b"user:" + text.encode()).decode(),
            id="base64 for URLs",
        ),
        pytest.param(
            lambda text: base64.encodebytes(b"y" * 50 + text.encode()).decode(),
            id="base64 in lines",
        ),
        pytest.param(lambda text: html.escape(in_json(text)), id="JSON in HTML"),
        pytest.param(lambda text: html.escape(html.escape(text)), id="HTML in HTML"),
        pytest.param(lambda text: urllib.parse.quote(in_json(text)), id="JSON in a URL"),
        pytest.param(lambda text: urllib.parse.quote(urllib.parse.quote(text)), id="URL in a URL"),
        pytest.param(lambda text: text.encode().hex(), id="hexadecimal"),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, ODD])
def test_every_form_in_which_code_prints_is_masked(
    printed: Callable[[str], str], secret: str
) -> None:
    wrong = [shown for shown in each_way(printed(secret), secret) if "***" not in shown]
    assert wrong == []


def test_a_secret_that_has_codes_itself_is_masked_without_them() -> None:
    assert Mask(["abcd\x1b[0mefgh"]).text("abcdefgh") == "***"
    assert Mask(["token<b>12345"]).text("token12345") == "***"


CODED = st.sampled_from(
    [
        "\x1b[31m",
        "\x1b[0m",
        "<i>",
        "</i>",
        "\\n",
        "%20",
        "&amp;",
        "\r",
        "\b",
        "é",
        "x",
        "S3",
        " ",
        "\n",
    ]
)


@given(st.lists(CODED, max_size=30), st.lists(st.integers(0, 60), max_size=4))
def test_codes_without_secrets_pass_unchanged_however_they_are_cut(
    parts: list[str], cuts: list[int]
) -> None:
    text = "".join(parts)
    stream = Mask(["zzzz-secret"]).stream()
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})

    assert (
        "".join(stream.feed(text[start:end]) for start, end in pairwise(places)) + stream.flush()
        == text
    )


@given(
    st.lists(
        st.sampled_from(["\x1b[31m", "<i>", "\u200b", "\x1b[0m", ""]), min_size=14, max_size=14
    ),
    st.integers(0, 80),
)
def test_codes_between_the_letters_of_a_secret_hide_nothing(codes: list[str], cut: int) -> None:
    text = "".join(code + letter for code, letter in zip(codes, f"{SECRET} ", strict=True))
    stream = Mask([SECRET]).stream()
    shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush()

    assert "***" in shown
    assert not seen(shown.replace("\u200b", ""), SECRET)
