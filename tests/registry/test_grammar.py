"""Names of tags: held against GTO's own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.registry.grammar import (
    Reference,
    TagName,
    check_model_name,
    check_version,
    parse_reference,
    parse_tag,
    tag_name,
)

if TYPE_CHECKING:
    from nbci.registry.grammar import Action

_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_/-]{0,5}[a-z0-9])?", fullmatch=True)
_MODELS = st.one_of(_NAMES, st.builds(lambda folder, name: f"{folder}:{name}", _NAMES, _NAMES))
_VERSIONS = st.builds(
    lambda a, b, c, end: f"v{a}.{b}.{c}{end}",
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["", "-rc.1", "-alpha", "+build.5", "-0.x+y"]),
)
_TAGS = st.one_of(
    st.builds(
        lambda action, model, version: TagName(action=action, model=model, version=version),
        st.sampled_from(["register", "deregister"]),
        _MODELS,
        _VERSIONS,
    ),
    st.builds(
        lambda action, model, stage, n: TagName(action=action, model=model, stage=stage, number=n),
        st.sampled_from(["assign", "unassign"]),
        _MODELS,
        _NAMES,
        st.integers(1, 10**6),
    ),
    st.builds(lambda model: TagName(action="deprecate", model=model), _MODELS),
)


@given(_TAGS)
def test_a_name_says_what_it_was_made_of(tag: TagName) -> None:
    assert parse_tag(tag_name(tag)) == tag


def gto_says(name: str) -> tuple[str, str, str | None, str | None, int | None] | None:
    from gto.tag import parse_name

    parsed = parse_name(name, raise_on_fail=False)
    if not parsed or "action" not in parsed:
        return None
    return (
        parsed["action"].value,
        parsed["name"],
        parsed.get("version"),
        parsed.get("stage"),
        parsed.get("counter"),
    )


def nbci_says(name: str) -> tuple[Action, str, str | None, str | None, int | None] | None:
    parsed = parse_tag(name)
    return (
        (parsed.action, parsed.model, parsed.version, parsed.stage, parsed.number)
        if parsed
        else None
    )


_BROKEN = st.text(alphabet="av1.0#@!=/-_:é ", max_size=14)


@given(st.one_of(_TAGS.map(tag_name), _BROKEN, st.builds("{}@v1.0.0{}".format, _NAMES, _BROKEN)))
def test_gto_understands_the_same(name: str) -> None:
    assert nbci_says(name) == gto_says(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits", Reference(model="digits")),
        ("digits@v1.2.0", Reference(model="digits", version="v1.2.0")),
        ("digits@1.2.0", Reference(model="digits", version="v1.2.0")),
        ("digits@latest", Reference(model="digits", version="latest")),
        ("sub/folder:digits#production", Reference(model="sub/folder:digits", stage="production")),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text", ["", "@", "digits@", "digits#", "digits@1.2", "di gits", "-digits", "digits#a#1"]
)
def test_no_reference(text: str) -> None:
    with pytest.raises(UsageError, match="names no model"):
        parse_reference(text)


def test_versions_and_names() -> None:
    assert check_version("1.2.0") == check_version("v1.2.0") == "v1.2.0"
    for wrong in ("1.2", "01.2.0", "v1.2.0.0", "one"):
        with pytest.raises(UsageError, match="no semantic version"):
            check_version(wrong)
    check_model_name("svm/digits")
    for wrong in ("digits-", "_digits", "a b", "ü", ""):
        with pytest.raises(UsageError, match="can be no name"):
            check_model_name(wrong)
