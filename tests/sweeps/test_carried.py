from __future__ import annotations

import pytest

from nbci.errors import IntegrityError
from nbci.sweeps.carried import MOST_CHARACTERS, Carried, pack, unpack


def test_what_was_packed_is_unpacked_as_it_was() -> None:
    carried = Carried(files={"sweep.json": "{}\n", "study.log": "größe\n" * 999}, commit="c0de")
    text = pack(carried)
    assert text.isascii()
    assert not set(text) & set(" \n\t")
    assert len(text) < 500
    assert unpack(f"{text}\n") == carried


def test_a_study_of_some_hundred_trials_fits_into_a_variable() -> None:
    lines = []
    for number in range(300):
        lines.append(f'{{"number":{number},"params":{{"x":{number / 7},"y":{number / 11}}}}}\n')
    assert len(pack(Carried(files={"trials.jsonl": "".join(lines) * 4}))) < MOST_CHARACTERS


@pytest.mark.parametrize(
    "text", ["", "kept", "nbci-carried-2:", "nbci-carried-1:!", "nbci-carried-1:aGVsbG8="]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        unpack(text)


def test_half_a_text_is_refused() -> None:
    text = pack(Carried(files={"sweep.json": "{}"}))
    with pytest.raises(IntegrityError):
        unpack(text[: len(text) // 2])
