"""A notebook's tags understood: its steps, their order, and the cells that serve all of them."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest
from nbci.notebook.tags import DEFAULTS, CellTags, is_default, read_defaults, read_tags
from nbci.pipeline.model import Blocks, Reference, Step, TaggedNotebook

if TYPE_CHECKING:
    from nbci.notebook.cells import Cell, Notebook

BEFORE_ANY_STEP = "stands before the first tag"


class _Collected(Struct):
    """What has been gathered of the notebook up to the cell being read."""

    steps: dict[str, list[tuple[Cell, CellTags]]] = field(default_factory=dict)
    blocks: dict[str, list[int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    dropped: list[Cell] = field(default_factory=list)
    current: tuple[str, ...] = ()
    current_role: str = ""
    behind_metrics: bool = False
    references: list[Reference] = field(default_factory=list)
    behind_reference: list[tuple[Cell, CellTags]] | None = None
    pipeline: str | None = None


def understand(notebook: Notebook) -> TaggedNotebook:
    """Read every cell's tags.

    Paths of `in:` and `out:` stay relative to where the step's cells run.
    """
    tagged = [(cell, read_tags(notebook, cell)) for cell in notebook.cells if cell.kind == "code"]
    collected = _collect(notebook, tagged)
    if not collected.steps and not collected.references:
        return _one_step(notebook, tagged, collected)
    default = _defaults(notebook, collected)
    declares = any(tags.after for cells in collected.steps.values() for _, tags in cells[:1])
    steps = [
        _step(notebook, name, cells, default, collected) for name, cells in collected.steps.items()
    ]
    _check_names(notebook, steps, collected)
    if not declares and not collected.references:
        steps = [
            replace(step, after=(steps[at - 1].name,) if at else ())
            for at, step in enumerate(steps)
        ]
    return TaggedNotebook(
        notebook=notebook,
        name=_pipeline_name(notebook, collected),
        steps=tuple(steps),
        blocks=Blocks(**{role: tuple(numbers) for role, numbers in collected.blocks.items()}),
        declares_edges=declares,
        dropped=tuple(cell.number for cell in collected.dropped),
        defaults=default,
        references=tuple(collected.references),
        warnings=tuple(collected.warnings),
    )


def _collect(notebook: Notebook, tagged: list[tuple[Cell, CellTags]]) -> _Collected:
    collected = _Collected()
    for cell, tags in tagged:
        collected.pipeline = collected.pipeline or (
            tags.pipeline if tags.role != "reference" else None
        )
        if tags.role == "skip":
            continue  # as in Kale, what follows belongs to the block before the skipped cell
        if _is_taken_apart(notebook, collected, cell, tags):
            continue
        if tags.role == "step":
            collected.current, collected.current_role = tags.steps, "step"
        elif tags.role not in (None, "metrics"):
            collected.current, collected.current_role = (), str(tags.role)
        if tags.role is not None:
            collected.behind_metrics = tags.role == "metrics"
        if collected.behind_metrics and (
            tags.role == "metrics" or _only_names_values(notebook, cell)
        ):
            collected.blocks.setdefault("metrics", []).append(cell.number)
        elif collected.current_role == "step":
            for name in collected.current:
                collected.steps.setdefault(name, []).extend(
                    (*(collected.behind_reference or ()), (cell, tags))
                )
            collected.behind_reference = None
        elif collected.current_role:
            collected.blocks.setdefault(collected.current_role, []).append(cell.number)
        elif cell.source.strip():
            collected.dropped.append(cell)
    _refuse_ownerless(notebook, collected)
    return collected


def _is_taken_apart(notebook: Notebook, collected: _Collected, cell: Cell, tags: CellTags) -> bool:
    """Whether the cell refers to a notebook, or stands untagged behind one that does and waits for
    the next step.
    """
    if tags.role == "reference":
        _refuse_ownerless(notebook, collected)
        collected.references.append(_reference(cell, tags))
        collected.behind_reference = []
        return True
    if collected.behind_reference is None or tags.role is not None:
        return False
    if cell.source.strip():
        collected.behind_reference.append((cell, tags))
    return True


def _reference(cell: Cell, tags: CellTags) -> Reference:
    return Reference(name=str(tags.pipeline), path=str(cell.notebook_path), cell=cell.number)


def _refuse_ownerless(notebook: Notebook, collected: _Collected) -> None:
    """A reference ends the block before it, so a cell behind it belongs to the step below, as in
    Kale.
    """
    if collected.behind_reference:
        raise UsageError(
            "this cell stands behind a reference to a notebook, and no step below takes it",
            hint="tag it `step:NAME`, or `skip` if it is not meant to run",
            where=notebook.where(collected.behind_reference[0][0]),
        )


def _only_names_values(notebook: Notebook, cell: Cell) -> bool:
    """Whether the cell prints or names values and does nothing else.

    A metrics cell of Kale takes the untagged cells behind it, and may hold nothing but
    `print(NAME)`: `parse_metrics_print_statements` in its `common/astutils.py`.
    """
    if notebook.language != "python":
        return False
    try:
        statements = ast.parse(cell.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(statements) and all(_names_a_value(statement) for statement in statements)


def _names_a_value(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Name() | ast.Call(func=ast.Name(id="print"))):
            return True
    return False


def _one_step(
    notebook: Notebook, tagged: list[tuple[Cell, CellTags]], collected: _Collected
) -> TaggedNotebook:
    """A notebook without step tags is one step: every cell that is not skipped, in the notebook's
    own order.
    """
    blocks: dict[str, list[int]] = {"parameters": [], "metrics": []}
    cells: list[tuple[Cell, CellTags]] = []
    for cell, tags in tagged:
        if tags.role in blocks:
            blocks[tags.role].append(cell.number)
        elif tags.role != "skip":
            cells.append((cell, tags))
    name = _pipeline_name(notebook, collected)
    for cell, tags in cells:
        if tags.after:
            collected.warnings.append(
                f"{notebook.where(cell)}: prev:{tags.after[0]} means nothing in a notebook without step tags"
            )
    step = replace(
        _step(notebook, _as_step_name(notebook), cells, _defaults(notebook, collected), collected),
        after=(),
    )
    return TaggedNotebook(
        notebook=notebook,
        name=name,
        steps=(step,),
        blocks=Blocks(**{role: tuple(numbers) for role, numbers in blocks.items()}),
        declares_edges=False,
        whole=True,
        warnings=tuple(collected.warnings),
    )


def _step(
    notebook: Notebook,
    name: str,
    cells: list[tuple[Cell, CellTags]],
    default: CellTags,
    collected: _Collected,
) -> Step:
    first = next(
        (tags for _, tags in cells if tags.role == "step"), cells[0][1] if cells else CellTags()
    )
    settings: dict[str, Any] = {**default.settings, **first.settings}
    own_secrets = [secret for _, tags in cells for secret in tags.secrets]
    for cell, tags in cells:
        if tags is first:
            continue
        ignored = [*(f"prev:{after}" for after in tags.after if after not in first.after)]
        ignored += [
            tags.written[key]
            for key, value in tags.settings.items()
            if value != first.settings.get(key)
        ]
        collected.warnings += [
            f"{notebook.where(cell)}: the tag {tag} counts only on the first cell of step {name}"
            for tag in ignored
        ]
    return Step(
        name=name,
        notebook=notebook.path,
        cells=tuple(cell.number for cell, _ in cells),
        after=first.after,
        deps=tuple(dict.fromkeys(path for _, tags in cells for path in tags.ins)),
        outs=tuple(dict.fromkeys(path for _, tags in cells for path in tags.outs)),
        secrets=tuple(dict.fromkeys((*default.secrets, *own_secrets))),
        annotations={**default.annotations, **first.annotations} or None,
        labels={**default.labels, **first.labels} or None,
        **settings,
    )


def _check_names(notebook: Notebook, steps: list[Step], collected: _Collected) -> None:
    names = [
        *(step.name for step in steps),
        *(reference.name for reference in collected.references),
    ]
    for step in steps:
        for after in step.after:
            if after in names and after != step.name:
                continue
            close = nearest(after, [name for name in names if name != step.name])
            raise UsageError(
                f"step {step.name} comes after itself"
                if after == step.name
                else f"prev:{after}: there is no such step",
                hint=f"did you mean {close!r}?" if close else f"the steps are {', '.join(names)}",
                where=notebook.where(notebook.cell(step.cells[0])),
            )
    for cell in collected.dropped:
        where = notebook.where(cell)
        collected.warnings.append(
            f"{where}: {BEFORE_ANY_STEP}, so it belongs to no step and does not run"
        )


def _defaults(notebook: Notebook, collected: _Collected) -> CellTags:
    """Kale's `steps_defaults`: tags that hold for every step."""
    declared = _kale(notebook).get("steps_defaults")
    tags = declared if isinstance(declared, list) else []
    collected.warnings += [
        f"{notebook.path}: {tag!r} in `steps_defaults` holds for no step; those that do are "
        + ", ".join(f"`{prefix}:`" for prefix in DEFAULTS)
        for tag in tags
        if not is_default(tag)
    ]
    return read_defaults(notebook, [tag for tag in tags if is_default(tag)])


def _kale(notebook: Notebook) -> dict[str, Any]:
    settings = notebook.document.get("metadata", {}).get("kubeflow_notebook")
    return settings if isinstance(settings, dict) else {}


def _pipeline_name(notebook: Notebook, collected: _Collected) -> str:
    named = collected.pipeline or _kale(notebook).get("pipeline_name")
    return str(named) if named else posixpath.splitext(posixpath.basename(notebook.path))[0]


def _as_step_name(notebook: Notebook) -> str:
    stem = posixpath.splitext(posixpath.basename(notebook.path))[0]
    name = re.sub(r"[^a-z0-9_-]+", "_", stem.lower()).strip("_-")
    if not name:
        raise UsageError(
            "no step name can be made of this file's name", where=Location(notebook.path)
        )
    return name
