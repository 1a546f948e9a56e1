"""Decoding what the kernel says about values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import IntegrityError
from nbci.handoff.answers import Refusal, decode_load, decode_ref, decode_save, encode_ref
from nbci.handoff.values import ValueRef

names = st.text(min_size=1, max_size=5)


@given(names, names, st.integers(0), names, st.lists(names).map(tuple), st.lists(names).map(tuple))
def test_references_survive_their_json_form(
    name: str, digest: str, size: int, kind: str, group: tuple[str, ...], refs: tuple[str, ...]
) -> None:
    ref = ValueRef(name=name, object=digest, bytes=size, type=kind, group=group, refs=refs)
    assert decode_ref(encode_ref(ref)) == ref


def test_loading_is_fine_refused_or_a_matter_of_integrity() -> None:
    assert decode_load({}, {}) is None
    refusal = decode_load({"unloadable": "ImportError: no x", "names": ["a", "b"]}, {"a": "first"})
    assert refusal is not None
    assert (
        refusal.message
        == "the value `a` (from step `first`), `b` cannot be loaded: ImportError: no x"
    )
    assert (refusal.error, refusal.hint) == (
        "ImportError",
        "this step's kernel must be able to import what the value is made of",
    )
    raised = decode_load({"unloadable": "ValueError: no way back", "names": ["a"]}, {})
    assert raised is not None
    assert "`__setstate__`" in (raised.hint or "")
    with pytest.raises(IntegrityError, match="the file of the value `a` is altered: /v/aa/bb"):
        decode_load({"integrity": "altered: /v/aa/bb", "names": ["a"]}, {})


def test_saving_names_variable_type_maker_and_user() -> None:
    problem = {"name": "lock", "type": "_thread.lock", "why": "TypeError: cannot pickle"}
    refusal = decode_save({"unsaveable": [problem]}, "make", {"lock": "use"})
    assert isinstance(refusal, Refusal)
    assert refusal.message == (
        "`lock` (type _thread.lock), which step `use` needs, made by step `make`, cannot be saved: "
        "TypeError: cannot pickle"
    )
    two = decode_save(
        {"unsaveable": [problem, {"name": "file", "type": "TextIO", "why": "it is open"}]},
        "make",
        {},
    )
    assert isinstance(two, Refusal)
    assert two.message == (
        "`lock` (type _thread.lock), made by step `make`, cannot be saved: "
        "TypeError: cannot pickle. "
        "`file` (type TextIO), made by step `make`, cannot be saved: it is open"
    )
    missing = decode_save({"missing": ["y"]}, "make", {})
    assert isinstance(missing, Refusal)
    assert (missing.kind, missing.message) == ("missing", "step `make` ended without `y`")
    secret = decode_save({"secret": [{"name": "url", "type": "str"}]}, "make", {})
    assert isinstance(secret, Refusal)
    assert "declare the secret in the step that needs it" in secret.hint
    assert decode_save({"gives": []}, "make", {}) == ()
