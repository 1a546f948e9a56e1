"""A cell's outputs by kind: streams by name, displays by MIME type, errors by their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.formatting.text import as_printed, joined_lines, without_ansi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERROR = "error"
# The ids of widgets are random: nbval passes over them, too (`skip_compare`).
_PASSED_OVER = frozenset({"application/vnd.jupyter.widget-view+json"})
_STREAMS = ("stdout", "stderr")


def values_by_kind(outputs: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What is shown of each kind, in order.

    As in nbval, each stream is one text, and the order of outputs of different kinds is not
    compared: it is a matter of which buffer was flushed first.
    """
    values: dict[str, list[Any]] = {}
    streams: dict[str, list[str]] = {}
    for output in outputs:
        match output.get("output_type"):
            case "stream":
                text = joined_lines(output.get("text", ""))
                streams.setdefault(str(output.get("name")), []).append(text)
            case "error":
                values.setdefault(ERROR, []).append(_error(output))
            case _:
                _add_display(values, output.get("data"))
    for name, texts in streams.items():
        values[name] = [as_printed(without_ansi("".join(texts)))]
    return values


def is_text(kind: str) -> bool:
    """Whether the kind is compared as text, with its numbers by tolerance."""
    return kind in _STREAMS or (kind.startswith("text/") and kind != "text/html")


def is_picture(kind: str) -> bool:
    """Whether the kind is a picture of pixels."""
    return kind.startswith("image/") and not is_drawing(kind)


def is_drawing(kind: str) -> bool:
    """Whether the kind is a picture of lines."""
    return kind.startswith("image/svg")


def as_outputs(kind: str, values: Iterable[Any]) -> list[dict[str, Any]]:
    """Outputs of nbformat that show values of one kind."""
    if kind == ERROR:
        return [{"output_type": "error", "traceback": [], **value} for value in values]
    return [
        {"output_type": "display_data", "metadata": {}, "data": {kind: value}} for value in values
    ]


def _error(output: Mapping[str, Any]) -> dict[str, str]:
    return {"ename": str(output.get("ename")), "evalue": str(output.get("evalue"))}


def _add_display(values: dict[str, list[Any]], data: object) -> None:
    if not isinstance(data, dict):
        return
    for kind, value in data.items():
        if kind not in _PASSED_OVER:
            values.setdefault(kind, []).append(_joined(kind, value))


def _joined(kind: str, value: Any) -> Any:
    # A list of JSON is a list; that of any other kind is a text by lines.
    if kind.endswith("json"):
        return value
    return joined_lines(value)
