"""What a step's key is made of, part by part, so that a change can be named."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.dataflow.code import parse_cell
from nbci.dataflow.shape import shape_of
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.prelude import Statement
    from nbci.plan.model import PlannedCell, PlannedStep

CODEC = "2"
"""The version of the form in which values are saved; a new one makes every step run again."""

_BY_POSITION = (
    *("parameters", "import", "definition", "statement"),
    *("cell", "metrics", "probe", "outputs"),
)
"""Kinds of parts that are known by their content and order; the labels of the others name them."""

_LONGEST_SHOWN = 120
"""Characters of a parameter's value that a part holds as it is; records show them to people."""

_DIGEST_LENGTHS = (32, 64)
"""Of the hexadecimal digests of parts and of files, which say nothing to people."""

_WORDS_OF_KIND = {
    "cell": "",
    "definition": "definition of",
    "import": "import of",
    "gives": "what later steps need of it",
    "along": "handing on",
    "continued": "what it went on from,",
    "outputs": "committed outputs of",
}


def digest_of(value: Any) -> str:
    """A digest of JSON-like data; equal data has equal digests."""
    return _digest_of_text(json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr))


def _digest_of_text(text: str) -> str:
    # Python allows lone surrogates in a text, such as a parameter from a file with broken encoding.
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=16).hexdigest()


def key_of(parts: Iterable[Part]) -> str:
    """The key: equal when every part is."""
    shown = []
    for part in parts:
        label = part.label
        # A cell that only moved in the notebook has another number in its label, and the same key.
        if part.kind in _BY_POSITION:
            label = ""
        shown.append((part.kind, label, part.digest))
    return hashlib.blake2b(json.dumps(shown).encode(), digest_size=32).hexdigest()


def statement_part(statement: Statement) -> Part:
    """A statement of the imports and functions cells, as parsed."""
    names = ", ".join(sorted(statement.binds)) or statement.text.strip()[:60]
    kind = "statement"
    if statement.kind != "other":
        kind = statement.kind
    return Part(
        kind=kind,
        label=f"{names} (cell {statement.cell})",
        digest=digest_of(shape_of(statement.code.tree)),
    )


def inherited_import_part(statement: Statement) -> Part:
    """An import of another step's cells, which the step runs, too."""
    return replace(statement_part(statement), kind="statement")


def cell_parts(cells: Sequence[PlannedCell], parsed: Mapping[int, ParsedCell]) -> Iterator[Part]:
    """Python cells as parsed, so that comments and layout do not count.

    `parsed` holds the step's own by number: parsing is most of the time that a plan takes, and is
    done once.
    """
    for cell in cells:
        label = f"cell {cell.number}"
        if cell.role == "step":
            own = parsed.get(cell.number or 0) or parse_cell(cell.source)
            yield Part(kind="cell", label=label, digest=digest_of(shape_of(own.tree)))
        elif cell.role == "metrics":
            tree = parse_cell(cell.source).tree
            yield Part(kind="metrics", label=label, digest=digest_of(shape_of(tree)))


def text_parts(cells: Sequence[PlannedCell]) -> Iterator[Part]:
    """Code in other languages: as it is, less the space at line ends."""
    for cell in cells:
        # Comments stay: where one begins, only the language's own parser knows.
        lines = list(map(str.rstrip, cell.source.strip().splitlines()))
        yield Part(kind="cell", label=f"cell {cell.number}", digest=digest_of(lines))


def setting_parts(step: PlannedStep, named: Iterable[str]) -> tuple[Part, ...]:
    """What else the result depends on: parameters it names, outs, environment, kernel and place."""
    params: Mapping[str, Any] = step.params or {}
    parts = [parameter_part(name, params[name]) for name in sorted(named) if name in params]
    # Only the paths: what a step writes there is its result, and no input.
    for path in step.writes:
        parts.append(Part(kind="out", label=path, digest=""))
    if step.predictions is not None:
        parts.append(Part(kind="predictions", label=step.predictions, digest=""))
    for name, value in sorted((step.env or {}).items()):
        parts.append(Part(kind="env", label=name, digest=digest_of(value)))
    for probe in step.probes:
        digest = digest_of([probe.name, probe.expression])
        parts.append(Part(kind="probe", label=probe.name, digest=digest))
    return (
        *parts,
        # What later steps need decides what is saved; a result without it is none for them.
        Part(kind="gives", label="", digest=digest_of([step.gives, step.optional_gives])),
        Part(kind="environment", label="", digest=digest_of([step.environment, step.container])),
        Part(kind="cwd", label=step.cwd, digest=""),
        Part(kind="kernel", label=step.kernel, digest=step.language),
        Part(kind="codec", label=CODEC, digest=""),
    )


def parameter_part(name: str, value: Any) -> Part:
    """A parameter that the step's result depends on."""
    return Part(kind="parameter", label=name, digest=parameter_digest(value))


def parameter_digest(value: Any) -> str:
    """The value itself where it is short, so that a change can be shown; else a digest of it."""
    # The type counts: 1 and True, or 0.0 and -0.0, are differences that a cell can see.
    kind, written = type(value).__name__, _value_text(value)
    text = f"{kind} {written}"
    if len(text) <= _LONGEST_SHOWN:
        return text
    return _digest_of_text(f"[{json.dumps(kind)}, {written}]")


def _value_text(value: Any) -> str:
    """The value as text: two values of which a cell may make different things have different texts.

    So the order of a dictionary counts, and what JSON cannot tell apart, such as keys 1 and "1", is
    written by Python.
    """
    text = json.dumps(value, default=repr)
    if isinstance(value, dict | list | tuple) and repr(json.loads(text)) != repr(value):
        return repr(value)
    return text


def changes(before: Sequence[Part], now: Sequence[Part]) -> list[str]:
    """What differs, for people: a text for each cell, function, parameter, value, file or setting.

    Old and new value are in it where they are short.
    """
    by_kind: dict[str, tuple[list[Part], list[Part]]] = {}
    for side, parts in enumerate((before, now)):
        for part in parts:
            by_kind.setdefault(part.kind, ([], []))[side].append(part)

    texts: list[str] = []
    for kind, (old, new) in by_kind.items():
        if kind in _BY_POSITION:
            texts += _code_changes(old, new)
        else:
            texts += _named_changes(old, new)
    return texts


def _code_changes(old: Sequence[Part], new: Sequence[Part]) -> Iterator[str]:
    """Code is known by its content: what stands only on one side was changed, added or removed."""
    before, now = _digests(old), _digests(new)
    removed = {part.label: part for part in old if part.digest not in now}
    for part in new:
        if part.digest in before:
            continue
        name = _shown_name(part.kind, part.label)
        # The same label on both sides: the cell or definition is there, with other content.
        if removed.pop(part.label, None):
            yield f"{name} changed"
        else:
            yield f"{name} is new"
    for label, part in removed.items():
        yield f"{_shown_name(part.kind, label)} is gone"


def _digests(parts: Iterable[Part]) -> set[str]:
    return {part.digest for part in parts}


def _named_changes(old: Sequence[Part], new: Sequence[Part]) -> Iterator[str]:
    before, now = _digests_by_label(old), _digests_by_label(new)
    kind = (old or new)[0].kind
    for label in dict.fromkeys((*before, *now)):
        name = _shown_name(kind, label)
        if label not in now:
            yield f"{name} is gone"
        elif label not in before:
            yield f"{name} is new"
        elif before[label] == now[label]:
            continue
        elif len(before[label]) == len(now[label]) and len(now[label]) in _DIGEST_LENGTHS:
            yield f"{name} changed"
        else:
            yield f"{name}: {before[label]} → {now[label]}"


def _digests_by_label(parts: Iterable[Part]) -> dict[str, str]:
    return {part.label: part.digest for part in parts}


def _shown_name(kind: str, label: str) -> str:
    return f"{_WORDS_OF_KIND.get(kind, kind)} {label}".strip()
