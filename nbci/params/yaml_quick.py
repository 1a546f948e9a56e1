"""Reads usual YAML as plain data, quickly.

Usual YAML has no anchors, tags and merges, and its keys are texts that differ; places are left out.
`nbci.params.yaml_text` reads all else, and finds places where they are asked for.
"""

from __future__ import annotations

from typing import Any

from nbci.params.yaml_scalars import core_scalar

MAX_NODES = 500_000
MAX_DEPTH = 100


class Unusual(Exception):
    """The text is no YAML, or YAML that must be read with care: nothing is known of it."""


def yaml_loader() -> Any:
    """PyYAML's loader of plain data, the one of libyaml where there is one."""
    import yaml

    # Wheels of PyYAML have libyaml; a build without it reads the same, but slowly.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def quick_data(text: str) -> Any:
    """What the text says; an empty one is None. Raises Unusual."""
    import yaml

    loader = yaml_loader()(text)
    try:
        return _Reader(loader).document()
    except yaml.YAMLError as error:
        raise Unusual from error
    finally:
        loader.dispose()


class _Reader:
    """Builds data while events come."""

    def __init__(self, loader: Any) -> None:
        from yaml import events

        # Looked up once: these are used for every event of a file.
        self._next = loader.get_event
        self._scalar, self._stream_end = events.ScalarEvent, events.StreamEndEvent
        self._mapping_start, self._mapping_end = events.MappingStartEvent, events.MappingEndEvent
        self._sequence_start = events.SequenceStartEvent
        self._sequence_end = events.SequenceEndEvent
        self._count = 0

    def document(self) -> Any:
        self._next()  # the stream starts
        if type(self._next()) is self._stream_end:
            return None
        data = self._value(self._next(), 0)
        self._next()  # the document ends
        if type(self._next()) is not self._stream_end:
            raise Unusual
        return data

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if depth > MAX_DEPTH or event.anchor is not None or event.tag is not None:
            raise Unusual
        if kind is self._scalar:
            # Without quotes, a scalar may be more than text.
            if event.implicit[0]:
                return core_scalar(event.value)
            return event.value
        if kind is self._mapping_start:
            return self._mapping(depth + 1)
        if kind is self._sequence_start:
            return self._sequence(depth + 1)
        raise Unusual

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        while type(event := self._next()) is not self._sequence_end:
            items.append(self._value(event, depth))
        self._add(len(items))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while type(event := self._next()) is not self._mapping_end:
            key = self._value(event, depth)
            if type(key) is not str or key in result or (key == "<<" and event.implicit[0]):
                raise Unusual
            result[key] = self._value(self._next(), depth)
        self._add(2 * len(result))
        return result

    def _add(self, nodes: int) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise Unusual
