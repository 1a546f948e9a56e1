"""YAML 1.2 text as plain data, with the line and column of everything in it.

PyYAML's parser gives the events; scalars follow the YAML 1.2 core schema, so `1e-3` is a number,
`yes` and `2024-01-01` are text. Text from strangers is safe: no object is built from a tag, and
aliases that expand without end are refused.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError
from nbci.params.yaml_quick import MAX_DEPTH, MAX_NODES, Unusual, quick_data, yaml_loader
from nbci.params.yaml_scalars import core_scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.events import Event

Path = tuple[Any, ...]

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_CORE = "tag:yaml.org,2002:"


class YamlText:
    """YAML text as read: `data` is plain."""

    def __init__(self, path: str, text: str, data: Any, places: _Expansion | None) -> None:
        self.path = path
        self.data = data
        self._text = text
        self._read_places = places

    @property
    def odd_keys(self) -> tuple[Path, ...]:
        """The paths of the keys that are no text, in their order."""
        if self._read_places is None:
            return ()  # what is read quickly has none
        return tuple(path for path in self._read_places.key_marks if not isinstance(path[-1], str))

    def where(self, path: Path, *, key: bool = False) -> Location:
        """The place of the value (or key) at `path`.

        When that is not in the text, it is the place of the nearest thing around it.
        """
        return Location(self.path, find=partial(self._mark, path, key))

    def _mark(self, path: Path, key: bool) -> tuple[int, int]:
        places = self._places
        if key and path in places.key_marks:
            return places.key_marks[path]
        # A key that is missing has no place; what it is missing in has one.
        while path not in places.marks and path:
            path = path[:-1]
        return places.marks.get(path, (1, 1))

    @property
    def _places(self) -> _Expansion:
        """Looked for when a mistake is to be shown: it costs more than the data."""
        if self._read_places is None:
            _, self._read_places = _with_places(self._text, self.path)
        return self._read_places


def read_yaml(text: str, path: str) -> YamlText:
    """Read one YAML document; an empty text is None. UsageErrors name `path`, line and column."""
    _refuse_control_characters(text, path)
    try:
        return YamlText(path, text, quick_data(text), None)
    except Unusual:
        return read_carefully(text, path)


def read_carefully(text: str, path: str) -> YamlText:
    """Read one YAML document with the place of everything at once.

    The data are the same as those of `read_yaml`.
    """
    _refuse_control_characters(text, path)
    data, places = _with_places(text, path)
    return YamlText(path, text, data, places)


def _with_places(text: str, path: str) -> tuple[Any, _Expansion]:
    root = _Composer(text, path).document()
    places = _Expansion(path)
    if root is None:
        return None, places
    return places.plain(root, ()), places


def _refuse_control_characters(text: str, path: str) -> None:
    match = _CONTROL.search(text)
    if match is None:
        return
    before = text[: match.start()]
    line, column = before.count("\n") + 1, match.start() - before.rfind("\n")
    name = f"the control character {match[0]!r}"
    if match[0] == "\x00":
        name = "a NUL byte"
    raise UsageError(
        f"{name} is not allowed in YAML",
        hint="remove it, or write it as an escape in double quotes",
        where=Location(path, line=line, column=column),
    )


class _Node(Struct, frozen=True, kw_only=True):
    """A node of the document; aliases share it.

    `pairs` of a mapping, `items` of a sequence, else `scalar`.
    """

    line: int
    column: int
    scalar: Any = None
    items: tuple[_Node, ...] | None = None
    pairs: tuple[tuple[_Node, _Node], ...] | None = None
    merge: bool = False


class _Composer:
    """Builds nodes from PyYAML's events, one document of limited depth."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._events = self._parse(text)
        self._anchors: dict[str, _Node | None] = {}
        self._count = 0

    def _parse(self, text: str) -> Iterator[Event]:
        import yaml

        try:
            yield from yaml.parse(text, Loader=yaml_loader())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(_syntax_message(error), mark, hint=_hint(error, text)) from error
        except yaml.YAMLError as error:
            raise UsageError(f"this is not YAML: {error}", where=Location(self._path)) from error

    def _error(self, message: str, mark: Any, *, hint: str | None = None) -> UsageError:
        where = Location(self._path)
        if mark:
            # PyYAML counts from 0, people and editors from 1.
            where = Location(self._path, line=mark.line + 1, column=mark.column + 1)
        return UsageError(message, hint=hint, where=where)

    def document(self) -> _Node | None:
        from yaml import events

        root: _Node | None = None
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent) and root is not None:
                raise self._error(
                    "there is a second document here",
                    event.start_mark,
                    hint="keep one, remove `---`",
                )
            if isinstance(event, events.NodeEvent):
                root = self._node(event, 0)
        return root

    def _node(self, event: Event, depth: int) -> _Node:
        from yaml import events

        self._count += 1
        # A file from a fork may be made to exhaust Python's stack or the memory.
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            raise self._error(
                "this is nested too deeply or too large to be a pipeline or parameters",
                event.start_mark,
            )
        if isinstance(event, events.AliasEvent):
            return self._alias(event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None  # until its end is read, an alias would be in itself
        if isinstance(event, events.SequenceStartEvent):
            node = self._sequence(event, depth)
        elif isinstance(event, events.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._scalar(event)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: Event) -> _Node:
        anchor = getattr(event, "anchor", "")
        if anchor not in self._anchors:
            raise self._error(f"no anchor &{anchor} stands before this alias", event.start_mark)
        node = self._anchors[anchor]
        if node is None:
            raise self._error(f"the alias *{anchor} stands inside what it names", event.start_mark)
        return node

    def _sequence(self, event: Any, depth: int) -> _Node:
        from yaml import events

        self._refuse_tag(event, "seq")
        items = []
        while not isinstance(following := next(self._events), events.SequenceEndEvent):
            items.append(self._node(following, depth + 1))
        return _Node(
            line=event.start_mark.line + 1, column=event.start_mark.column + 1, items=tuple(items)
        )

    def _mapping(self, event: Any, depth: int) -> _Node:
        from yaml import events

        self._refuse_tag(event, "map")
        pairs = []
        while not isinstance(following := next(self._events), events.MappingEndEvent):
            key = self._node(following, depth + 1)
            # JSON, in which plans are kept, has no such keys.
            if key.items is not None or key.pairs is not None:
                raise self._error("a key must be text or a number", following.start_mark)
            pairs.append((key, self._node(next(self._events), depth + 1)))
        return _Node(
            line=event.start_mark.line + 1, column=event.start_mark.column + 1, pairs=tuple(pairs)
        )

    def _scalar(self, event: Any) -> _Node:
        tag = event.tag
        # Not in YAML 1.2, but written all the same, and read by most tools.
        merge = tag == f"{_CORE}merge" or (event.implicit[0] and event.value == "<<")
        value = event.value
        if tag is None and event.implicit[0]:
            value = core_scalar(event.value)
        elif tag not in (None, "!"):  # a lone `!` says that it is text
            value = self._tagged_scalar(event)
        return _Node(
            line=event.start_mark.line + 1,
            column=event.start_mark.column + 1,
            scalar=value,
            merge=merge,
        )

    def _tagged_scalar(self, event: Any) -> Any:
        kind = event.tag.removeprefix(_CORE)
        value = core_scalar(event.value)
        if kind == "str":
            return event.value
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        known = {"int": int, "float": float, "bool": bool, "null": type(None), "merge": str}
        if not event.tag.startswith(_CORE) or kind not in known:
            self._refuse_tag(event, "str")
        if type(value) is not known[kind]:
            raise self._error(f"{event.value!r} is no !!{kind}", event.start_mark)
        return value

    def _refuse_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", f"{_CORE}{kind}"):
            shown = event.tag.replace(_CORE, "!!")
            raise self._error(
                f"the tag {shown} is not allowed",
                event.start_mark,
                hint="write plain text, numbers, lists, mappings",
            )


class _Expansion:
    """Makes plain data of nodes, and notes their places.

    It counts what aliases expand to, so that a small text cannot become a huge value.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self.marks: dict[Path, tuple[int, int]] = {}
        self.key_marks: dict[Path, tuple[int, int]] = {}

    def _error(self, message: str, node: _Node, *, hint: str | None = None) -> UsageError:
        return UsageError(
            message, hint=hint, where=Location(self._path, line=node.line, column=node.column)
        )

    def plain(self, node: _Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._error(
                "aliases expand to too much", node, hint=f"the limit is {MAX_NODES} values"
            )
        self.marks[path] = (node.line, node.column)
        if node.items is not None:
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.items)]
        if node.pairs is not None:
            return self._mapping(node, path)
        return node.scalar

    def _mapping(self, node: _Node, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        seen: dict[Any, _Node] = {}
        for key, value in node.pairs or ():
            if key.merge:
                continue
            if key.scalar in seen:
                hint = f"the first is on line {seen[key.scalar].line}"
                raise self._error(f"the key {key.scalar!r} stands twice", key, hint=hint)
            seen[key.scalar] = key
            self._pair(result, key, value, path)
        self._merge(result, node, path)
        return result

    def _pair(self, result: dict[Any, Any], key: _Node, value: _Node, path: Path) -> None:
        inner = (*path, key.scalar)
        self.key_marks[inner] = (key.line, key.column)
        result[key.scalar] = self.plain(value, inner)

    def _merge(self, result: dict[Any, Any], node: _Node, path: Path) -> None:
        """Put in the keys that `<<` brings; those that stand in the mapping are stronger.

        Of two that `<<` brings, the earlier is stronger.
        """
        for source in _merged_nodes(node):
            self._count += 1
            if source.pairs is None:
                raise self._error("`<<` takes a mapping or a list of mappings", source)
            if self._count > MAX_NODES:
                raise self._error("aliases expand to too much", node)
            for key, inner in source.pairs:
                if not key.merge and key.scalar not in result:
                    self._pair(result, key, inner, path)
            # What is merged may merge in its turn.
            self._merge(result, source, path)


def _merged_nodes(node: _Node) -> Iterator[_Node]:
    """What stands behind `<<` in the mapping: one mapping, or a list of them."""
    for key, value in node.pairs or ():
        if key.merge:
            yield from value.items or (value,)


def _syntax_message(error: Any) -> str:
    problem = error.problem or error.context or "this is not YAML"
    return f"this is not YAML: {problem}"


def _hint(error: Any, text: str) -> str | None:
    mark = error.problem_mark
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return None
    if "\t" in lines[mark.line][: mark.column + 1]:
        return "YAML is indented with spaces, not tabs"
    return None
