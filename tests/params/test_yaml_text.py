from __future__ import annotations

import contextlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.params.yaml_quick import MAX_DEPTH
from nbci.params.yaml_text import YamlText, read_carefully, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable


def data(text: str) -> Any:
    return read_yaml(text, "x.yaml").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-7", -7), ("+7", 7),
        ("0o17", 15), ("0x1F", 31),
        ("017", 17), ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"),
        ("yes", "yes"),
        ("on", "on"), ("No", "No"), ("true", True), ("FALSE", False), ("null", None), ("~", None),
        ("", None),
        (".inf", math.inf), ("-.INF", -math.inf), ("1.2.3", "1.2.3"), ("0b1", "0b1"), ("=", "="),
        ("٣", "٣"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    found = data(f"x: {text}\n")["x"]
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_text() -> None:
    assert data("[\"1\", 'true', '', |-\n  null\n]".replace("|-\n  null\n", '"null"')) == [
        "1",
        "true",
        "",
        "null",
    ]
    assert math.isnan(data(".nan"))


def test_explicit_tags_of_the_core_are_understood() -> None:
    assert data("[!!str 1, !!float 1, !!int 7, ! 5]") == ["1", 1.0, 7, "5"]


def test_everything_has_its_place() -> None:
    document = read_yaml("a: 1\nsteps:\n  - {name: x}\n  -   y\n", "p.yaml")
    assert str(document.where(("steps", 0, "name"))) == "p.yaml, line 3, column 12"
    assert str(document.where(("steps", 0, "name"), key=True)) == "p.yaml, line 3, column 6"
    assert str(document.where(("steps", 1))) == "p.yaml, line 4, column 7"
    assert str(document.where(("steps", 7, "gone"))) == "p.yaml, line 3, column 3"


def test_merge_keys_give_way_to_what_stands_there() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {<<: *b, z: 3}\nz: {y: 9, <<: [*m, {w: 5, x: 8}]}\n"
    assert data(text)["z"] == {"y": 9, "z": 3, "x": 1, "w": 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands twice"),
        ("a: !!python/object/apply:os.system [ls]",
         "line 1, column 4: the tag !!python/object/apply:os.system is not"),
        ("a: !mine 1", "the tag !mine is not allowed"),
        ("a: !!timestamp 2024-01-01", "the tag !!timestamp is not allowed"),
        ("a: !!int abc", "'abc' is no !!int"),
        ("a: &x [*x]", "line 1, column 8: the alias *x stands inside what it names"),
        ("a: *x", "no anchor &x"),
        ("a: 1\n---\nb: 2", "line 2, column 1: there is a second document here"),
        ("a:\n\tb: 1", "line 2, column 1"),
        ("a: [1", "this is not YAML"),
        ("a: 'x", "this is not YAML"),
        ("a: b\0c", "line 1, column 5: a NUL byte is not allowed"),
        ("x: 1\na: \x07", "line 2, column 4: the control character '\\x07' is not allowed"),
        ("a: \ud800", "control character"),
        ("? [1, 2]\n: 3", "a key must be text or a number"),
        ("a: {<<: 3}", "`<<` takes a mapping"),
        ("%YAML 9.9\n---\na", "this is not YAML"),
        ("[" * (MAX_DEPTH + 2), "nested too deeply"),
        ("- " * 5000 + "a", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        data(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.yaml")


def test_nesting_beyond_all_measure_is_refused_with_its_place() -> None:
    # libyaml 0.2.6 counts open brackets while it looks ahead, and may refuse before nbci does, in
    # its own words
    with pytest.raises(UsageError) as caught:
        data("[" * 200_000)
    assert str(caught.value).startswith("x.yaml, line 1, column ")


@pytest.mark.parametrize("merge", [False, True])
def test_bombs_are_refused_quickly(merge: bool) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]" if not merge else "a0: &a0 {x: 1}"]
    for level in range(1, 12):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(
            f"a{level}: &a{level} " + (f"{{<<: [{aliases}]}}" if merge else f"[{aliases}]")
        )
    started = time.monotonic()
    with pytest.raises(UsageError, match="expand to too much"):
        data("\n".join(lines))
    assert time.monotonic() - started < 10


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs", "Cc"], max_codepoint=0xFFFD)),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text("abc<", min_size=1), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_json_is_yaml(value: Any) -> None:
    assert data(json.dumps(value, ensure_ascii=False)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        read_yaml(text, "x.yaml")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


def _outcome(read: Callable[[str, str], YamlText], text: str) -> str:
    """All that a reader says of a text, or its complaint."""
    try:
        document = read(text, "x.yaml")
    except UsageError as error:
        return f"{error} ({error.hint})"
    places = [
        (path, str(document.where(path)), str(document.where(path, key=True)))
        for path in _paths(document.data)
    ]
    return repr((document.data, document.odd_keys, places))


pieces = st.sampled_from([
    "a", "b", "1", "1.5", "~", "true", "'q'", '"q"', "a: ", "b: ", "1: ", "? ", ": ", "- ", "\n",
    "  ", "{", "}", "[",
    "]", ", ", "&x ", "*x", "!!str ", "! ", "!mine ", "<<: ", "'<<': ", "# c", "---\n", "...\n",
    "|\n  t\n", "\t",
    "\x07", "%YAML 1.1\n",
])  # fmt: skip


@given(st.lists(pieces, max_size=14).map("".join))
@example("a: 1\nb: {a: [x, ~, '~', 1e-3]}\n")
@example("a: 1\na: 2\n")
@example("a: {<<: {b: 1}}")
@example("'<<': {b: 1}")
@example("1: 2")
@example("")
@example("---\n")
@example("a\n---\nb")
@example("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
@example("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))
def test_what_is_read_quickly_is_what_is_read_with_care(text: str) -> None:
    assert _outcome(read_yaml, text) == _outcome(read_carefully, text)


@given(plain, st.booleans())
def test_what_yaml_writes_is_read_the_same_both_ways(value: Any, flow: bool) -> None:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=flow)
    assert _outcome(read_yaml, text) == _outcome(read_carefully, text)
