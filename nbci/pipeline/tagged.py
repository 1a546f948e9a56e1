"""A notebook's tags understood: its steps, their order, and the cells that serve all of them."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.errors import Location, UsageError, spelling_hint
from nbci.graph import by_name
from nbci.notebook.tags import DEFAULTS, CellTags, is_default, read_defaults, read_tags
from nbci.pipeline.model import Blocks, Reference, Step, TaggedNotebook
from nbci.pipeline.tagged_paths import check_tagged_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.notebook.cells import Cell, Notebook

    TaggedCell = tuple[Cell, CellTags]

BEFORE_ANY_STEP = "stands before the first tag"


class _Collected(Struct):
    """What has been gathered of the notebook up to the cell being read.

    `behind_reference` are the cells behind a reference that wait for the next step; None: there is
    no reference since the last step.
    """

    steps: dict[str, list[TaggedCell]] = field(default_factory=dict)
    blocks: dict[str, list[int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    dropped: list[Cell] = field(default_factory=list)
    current: tuple[str, ...] = ()
    current_role: str = ""
    behind_metrics: bool = False
    references: list[Reference] = field(default_factory=list)
    behind_reference: list[TaggedCell] | None = None
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
    steps = []
    # A cell with two step tags is in both steps.
    for name, cells in collected.steps.items():
        steps.append(_step(notebook, name, cells, default, collected))
    _check_edges(notebook, steps, collected)
    _warn_of_dropped(notebook, collected)
    declares = any(cells[0][1].after for cells in collected.steps.values())
    # Without any `prev:` the notebook is read as it is run by hand, from top to bottom.
    if not declares and not collected.references:
        steps = _in_notebook_order(steps)
    return TaggedNotebook(
        notebook=notebook,
        name=_pipeline_name(notebook, collected),
        steps=tuple(steps),
        blocks=_blocks(collected.blocks),
        declares_edges=declares,
        dropped=tuple(cell.number for cell in collected.dropped),
        defaults=default,
        references=tuple(collected.references),
        warnings=tuple(collected.warnings),
    )


def _in_notebook_order(steps: list[Step]) -> list[Step]:
    """Each step after the one above it."""
    ordered: list[Step] = []
    before: tuple[str, ...] = ()
    for step in steps:
        ordered.append(replace(step, after=before))
        before = (step.name,)
    return ordered


def _blocks(numbers: dict[str, list[int]]) -> Blocks:
    return Blocks(**{role: tuple(found) for role, found in numbers.items()})


def _collect(notebook: Notebook, tagged: list[TaggedCell]) -> _Collected:
    """Read the cells from top to bottom; each belongs to the block that the last tag began."""
    collected = _Collected()
    for cell, tags in tagged:
        # The name of a reference is that of the other notebook.
        if tags.role != "reference":
            collected.pipeline = collected.pipeline or tags.pipeline
        # As in Kale, what follows belongs to the block before the skipped cell.
        if tags.role == "skip" or _is_taken_apart(notebook, collected, cell, tags):
            continue
        _begin_block(collected, tags)
        _add_cell(notebook, collected, cell, tags)
    _refuse_ownerless(notebook, collected)
    return collected


def _begin_block(collected: _Collected, tags: CellTags) -> None:
    if tags.role == "step":
        collected.current, collected.current_role = tags.steps, "step"
    elif tags.role not in (None, "metrics"):
        collected.current, collected.current_role = (), str(tags.role)
    # A metrics cell stands within a block and does not end it.
    if tags.role is not None:
        collected.behind_metrics = tags.role == "metrics"


def _add_cell(notebook: Notebook, collected: _Collected, cell: Cell, tags: CellTags) -> None:
    names_metrics = tags.role == "metrics"
    if collected.behind_metrics and not names_metrics:
        names_metrics = _only_names_values(notebook, cell)

    if names_metrics:
        collected.blocks.setdefault("metrics", []).append(cell.number)
    elif collected.current_role == "step":
        taken = [*(collected.behind_reference or ()), (cell, tags)]
        for name in collected.current:
            collected.steps.setdefault(name, []).extend(taken)
        collected.behind_reference = None
    elif collected.current_role:
        collected.blocks.setdefault(collected.current_role, []).append(cell.number)
    elif cell.source.strip():
        collected.dropped.append(cell)


def _is_taken_apart(notebook: Notebook, collected: _Collected, cell: Cell, tags: CellTags) -> bool:
    """Whether the cell refers to a notebook, or stands untagged behind one that does.

    In the second case it waits for the next step.
    """
    if tags.role == "reference":
        _refuse_ownerless(notebook, collected)
        collected.references.append(_reference(cell, tags))
        collected.behind_reference = []
        return True
    if collected.behind_reference is None or tags.role is not None:
        return False
    # An empty cell runs nothing: refusing it would help nobody.
    if cell.source.strip():
        collected.behind_reference.append((cell, tags))
    return True


def _reference(cell: Cell, tags: CellTags) -> Reference:
    return Reference(name=str(tags.pipeline), path=str(cell.notebook_path), cell=cell.number)


def _refuse_ownerless(notebook: Notebook, collected: _Collected) -> None:
    """UsageError where a cell stands behind a reference, and no step below takes it.

    As in Kale, a reference ends the block before it, so such a cell belongs to the step below.
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
    return bool(statements) and all(map(_names_a_value, statements))


def _names_a_value(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Name() | ast.Call(func=ast.Name(id="print"))):
            return True
    return False


def _one_step(
    notebook: Notebook, tagged: list[TaggedCell], collected: _Collected
) -> TaggedNotebook:
    """A notebook without step tags as one step.

    It has every cell that is not skipped, in the notebook's own order.
    """
    blocks: dict[str, list[int]] = {"parameters": [], "metrics": []}
    cells: list[TaggedCell] = []
    for cell, tags in tagged:
        if tags.role in blocks:
            blocks[tags.role].append(cell.number)
        elif tags.role != "skip":
            cells.append((cell, tags))
    for cell, tags in cells:
        if tags.after:
            collected.warnings.append(
                f"{notebook.where(cell)}: prev:{tags.after[0]} means nothing "
                "in a notebook without step tags"
            )
    default = _defaults(notebook, collected)
    step = _step(notebook, _step_name(notebook), cells, default, collected)
    return TaggedNotebook(
        notebook=notebook,
        name=_pipeline_name(notebook, collected),
        steps=(replace(step, after=()),),
        blocks=_blocks(blocks),
        declares_edges=False,
        whole=True,
        warnings=tuple(collected.warnings),
    )


def _step(
    notebook: Notebook,
    name: str,
    cells: list[TaggedCell],
    default: CellTags,
    collected: _Collected,
) -> Step:
    first = _first_tags(cells)
    ins: list[str] = []
    outs: list[str] = []
    predictions: list[str] = []
    secrets = list(default.secrets)
    for cell, tags in cells:
        check_tagged_paths(notebook, cell, tags)
        # These count on every cell: the cell that reads or writes a file is where one tags it.
        ins += tags.ins
        outs += (*tags.outs, *tags.predictions)
        predictions += tags.predictions
        secrets += tags.secrets
        # The settings of one step stand in one place, as in Kale.
        if tags is first:
            continue
        for tag in _ignored_tags(tags, first):
            collected.warnings.append(
                f"{notebook.where(cell)}: the tag {tag} counts only on the first cell "
                f"of step {name}"
            )
    if len(set(predictions)) > 1:
        raise UsageError(
            f"step {name} declares several files of predictions: {', '.join(predictions)}",
            hint="a step has one; write the others in steps of their own",
            where=notebook.where(cells[0][0]),
        )
    settings: dict[str, Any] = {**default.settings, **first.settings}
    return Step(
        name=name,
        notebook=notebook.path,
        cells=tuple(cell.number for cell, _ in cells),
        after=first.after,
        deps=tuple(dict.fromkeys(ins)),
        outs=tuple(dict.fromkeys(outs)),
        predictions=next(iter(predictions), None),
        secrets=tuple(dict.fromkeys(secrets)),
        annotations={**default.annotations, **first.annotations} or None,
        labels={**default.labels, **first.labels} or None,
        **settings,
    )


def _first_tags(cells: list[TaggedCell]) -> CellTags:
    """The tags whose settings hold for the step: those of the first cell that names it."""
    # A cell that waited behind a reference stands before that one.
    for _, tags in cells:
        if tags.role == "step":
            return tags
    if cells:
        return cells[0][1]
    return CellTags()


def _ignored_tags(tags: CellTags, first: CellTags) -> Iterator[str]:
    """The tags of a later cell that say something else than the first cell's."""
    for after in tags.after:
        if after not in first.after:
            yield f"prev:{after}"
    for key, value in tags.settings.items():
        if value != first.settings.get(key):
            yield tags.written[key]


def _check_edges(notebook: Notebook, steps: list[Step], collected: _Collected) -> None:
    """UsageError where `prev:` names neither a step nor a notebook that is referred to."""
    # A dictionary: a notebook of 10,000 steps would look through as many names for each edge.
    names = {**by_name(steps), **by_name(collected.references)}
    for step in steps:
        for after in step.after:
            if after in names and after != step.name:
                continue
            message = f"prev:{after}: there is no such step"
            if after == step.name:
                message = f"step {step.name} comes after itself"
            others = [name for name in names if name != step.name]
            raise UsageError(
                message,
                hint=spelling_hint(after, others, f"the steps are {', '.join(names)}"),
                where=notebook.where(notebook.cell(step.cells[0])),
            )


def _warn_of_dropped(notebook: Notebook, collected: _Collected) -> None:
    for cell in collected.dropped:
        collected.warnings.append(
            f"{notebook.where(cell)}: {BEFORE_ANY_STEP}, so it belongs to no step and does not run"
        )


def _defaults(notebook: Notebook, collected: _Collected) -> CellTags:
    """Kale's `steps_defaults`: tags that hold for every step."""
    declared = _kale(notebook).get("steps_defaults")
    tags = []
    # Metadata is whatever an editor or a merge has left there.
    if isinstance(declared, list):
        tags = declared
    valid = ", ".join(f"`{prefix}:`" for prefix in DEFAULTS)
    for tag in tags:
        if not is_default(tag):
            collected.warnings.append(
                f"{notebook.path}: {tag!r} in `steps_defaults` holds for no step; "
                f"those that do are {valid}"
            )
    return read_defaults(notebook, list(filter(is_default, tags)))


def _kale(notebook: Notebook) -> dict[str, Any]:
    """The settings that Kale's panel in JupyterLab writes into the notebook."""
    settings = notebook.document.get("metadata", {}).get("kubeflow_notebook")
    if not isinstance(settings, dict):
        return {}
    return settings


def _pipeline_name(notebook: Notebook, collected: _Collected) -> str:
    named = collected.pipeline or _kale(notebook).get("pipeline_name")
    return str(named or _stem(notebook))


def _step_name(notebook: Notebook) -> str:
    """The file's name as that of a step."""
    # As step names are written in tags, and as folders of the run can be named everywhere.
    name = re.sub(r"[^a-z0-9_-]+", "_", _stem(notebook).lower()).strip("_-")
    if not name:
        raise UsageError(
            "no step name can be made of this file's name", where=Location(notebook.path)
        )
    return name


def _stem(notebook: Notebook) -> str:
    stem, _ = posixpath.splitext(posixpath.basename(notebook.path))
    return stem
