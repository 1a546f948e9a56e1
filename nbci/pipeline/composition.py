"""A notebook that refers to others, with the steps of all of them, as Kale composes notebooks.

What is ordered how stands in Kale's `link_composition_units`: what uses a variable comes after
the notebook that makes it; a step of the referring notebook's own comes after all above it and
before all below it.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.dataflow.code import parse_cell
from nbci.dataflow.names import names_of
from nbci.dataflow.prelude import names_bound_by, split_cell
from nbci.errors import UsageError
from nbci.graph import Cycle, by_name, ends, topological
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.pipeline.paths import project_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement
    from nbci.errors import Location
    from nbci.graph import Named
    from nbci.notebook.tags import CellTags
    from nbci.pipeline.model import Reference, Step, TaggedNotebook

    Ends = tuple[tuple[str, ...], tuple[str, ...]]


class _Unit(Struct, frozen=True, kw_only=True):
    """A step of the referring notebook, or a whole notebook that it refers to.

    `steps` have their final names.
    """

    name: str
    cell: int
    steps: tuple[Step, ...]
    makes: frozenset[str]
    needs: frozenset[str]
    is_notebook: bool


def references(tagged: TaggedNotebook) -> dict[str, Reference]:
    """The notebooks that this one refers to, by path from the project's root."""
    notebook = tagged.notebook
    found: dict[str, Reference] = {}
    for reference in tagged.references:
        where = _where(tagged, reference.cell)
        path = project_path(reference.path, posixpath.dirname(notebook.path) or ".", where)
        if path == notebook.path:
            raise UsageError("the notebook refers to itself", where=where)
        found[path] = reference
    return found


def unfold(tagged: TaggedNotebook, others: Mapping[str, TaggedNotebook]) -> TaggedNotebook:
    """The notebook with the steps of those that it refers to.

    `others` holds them by path from the project's root.
    """
    if not tagged.references:
        return tagged
    _refuse_unclear(tagged, others)
    units = []
    for step in tagged.steps:
        units.append(_step_unit(tagged, step))
    for path, reference in references(tagged).items():
        units.append(_notebook_unit(others[path], reference, tagged))
    # In the order of their cells, which decides where nothing else does.
    units.sort(key=lambda unit: unit.cell)

    before = _order(tagged, units)
    ends_of = {unit.name: ends(unit.steps) for unit in units}
    steps: list[Step] = []
    for unit in units:
        steps += _with_edges(unit, before[unit.name], ends_of)
    return replace(tagged, steps=tuple(steps), parts=dict(others), declares_edges=True)


def _refuse_unclear(tagged: TaggedNotebook, others: Mapping[str, TaggedNotebook]) -> None:
    """UsageError where names or references may mean two things, or nothing that can run."""
    named: list[Named] = [*tagged.steps, *tagged.references]
    names = Counter(one.name for one in named)
    for reference in tagged.references:
        if names[reference.name] > 1:
            raise UsageError(
                f"two steps or notebooks are named {reference.name}",
                where=_where(tagged, reference.cell),
            )
    paths = references(tagged)
    # Two references would give two sets of steps with one state.
    if len(paths) < len(tagged.references):
        raise UsageError("the notebook refers to another twice", where=_where(tagged, 1))
    for path, reference in paths.items():
        if others[path].references:
            raise UsageError(
                f"{path} refers to notebooks, too",
                hint="refer to all of them from this notebook",
                where=_where(tagged, reference.cell),
            )
    # Metrics cells run behind a step, in its kernel.
    if tagged.blocks.metrics and not tagged.steps:
        raise UsageError(
            "this notebook has no step of its own whose end could name these metrics",
            hint="put the metrics cell into the notebook that makes them",
            where=_where(tagged, tagged.blocks.metrics[0]),
        )


def _step_unit(tagged: TaggedNotebook, step: Step) -> _Unit:
    own = _names(tagged, step.cells)
    first_cell = 0
    if step.cells:
        first_cell = step.cells[0]
    return _Unit(
        name=step.name,
        cell=first_cell,
        steps=(replace(step, composition=tagged.notebook.path),),
        makes=own.binds - own.imports,
        needs=own.needs - _parameter_names(tagged) - _prelude_names(tagged),
        is_notebook=False,
    )


def _notebook_unit(tagged: TaggedNotebook, reference: Reference, root: TaggedNotebook) -> _Unit:
    def full(name: str) -> str:
        # A notebook without step tags is one step, which has the reference's name.
        if tagged.whole:
            return reference.name
        return f"{reference.name}/{name}"

    steps = []
    cells: list[int] = []
    for step in tagged.steps:
        unfolded = replace(
            step,
            name=full(step.name),
            after=tuple(map(full, step.after)),
            composition=root.notebook.path,
        )
        steps.append(_with_defaults(unfolded, root.defaults))
        cells += step.cells
    own = _names(tagged, cells)
    # Parameters of the referring notebook hold in all; its imports and functions are its own.
    given = _parameter_names(tagged) | _prelude_names(tagged) | _parameter_names(root)
    return _Unit(
        name=reference.name,
        cell=reference.cell,
        steps=tuple(steps),
        makes=own.binds - own.imports,
        needs=own.needs - given,
        is_notebook=True,
    )


def _with_defaults(step: Step, defaults: CellTags) -> Step:
    """What holds for every step of a composition holds where the step says nothing itself."""
    given = defaults.settings
    settings = {key: value for key, value in given.items() if getattr(step, key) is None}
    # `report` is true or false, never None: false from either side is what somebody wrote.
    if not step.report or given.get("report") is False:
        settings["report"] = False
    return replace(
        step,
        **settings,
        secrets=tuple(dict.fromkeys((*step.secrets, *defaults.secrets))),
        annotations={**defaults.annotations, **(step.annotations or {})} or None,
        labels={**defaults.labels, **(step.labels or {})} or None,
    )


def _names(tagged: TaggedNotebook, numbers: Sequence[int]) -> Names:
    """The names that the cells bind and need; none of a language whose code is not read."""
    notebook = tagged.notebook
    if notebook.language != "python":
        return names_of([])
    known = names_of([one.code for one in _prelude(tagged)]).definitions
    parsed = []
    for number in numbers:
        cell = notebook.cell(number)
        parsed.append(parse_cell(cell.source, where=notebook.where(cell), stars=tagged.stars))
    return names_of(parsed, known=known)


def _prelude(tagged: TaggedNotebook) -> list[Statement]:
    """The statements of the imports and functions cells."""
    notebook = tagged.notebook
    statements: list[Statement] = []
    for number in (*tagged.blocks.imports, *tagged.blocks.functions):
        cell = notebook.cell(number)
        statements += split_cell(
            number, cell.source, where=notebook.where(cell), stars=tagged.stars
        )
    return statements


def _prelude_names(tagged: TaggedNotebook) -> frozenset[str]:
    """The names that the notebook's steps have from its imports and functions."""
    if tagged.notebook.language != "python":
        return frozenset()
    return names_bound_by(_prelude(tagged))


def _parameter_names(tagged: TaggedNotebook) -> frozenset[str]:
    """The names that the notebook's steps have from its parameters cells."""
    if tagged.notebook.language != "python":
        return frozenset()
    declared = notebook_parameters(tagged)
    return frozenset((*declared.names, *by_name(declared.code_names)))


def _order(tagged: TaggedNotebook, units: Sequence[_Unit]) -> dict[str, list[str]]:
    """For each unit those that it comes right after."""
    before: dict[str, list[str]] = {unit.name: [] for unit in units}
    for at, unit in enumerate(units):
        # Sorted, since the order of a set differs from process to process, and a plan's may not.
        for name in sorted(unit.needs):
            before[unit.name] += _makers(tagged, units, at, name)

    # The referring notebook's own steps part it: all above before, all below after.
    barrier: list[str] = []
    since: list[str] = []
    for unit in units:
        before[unit.name] += barrier
        if unit.is_notebook:
            since.append(unit.name)
        else:
            before[unit.name] += since
            barrier, since = [unit.name], []

    try:
        topological(before)
    except Cycle as cycle:
        raise UsageError(
            f"the notebooks and steps wait for each other in a cycle: {cycle}",
            hint="a cell stands below the cells that make what it uses",
            where=_where(tagged, units[0].cell),
        ) from cycle
    return before


def _makers(tagged: TaggedNotebook, units: Sequence[_Unit], at: int, name: str) -> list[str]:
    """Who makes the variable for the unit at that position, and who above it changes it."""
    unit = units[at]
    makers: list[str] = []
    changers: list[str] = []
    for position, other in enumerate(units):
        if position == at or name not in other.makes:
            continue
        # Who uses a name and binds it changes what another made.
        if name not in other.needs:
            makers.append(other.name)
        elif position < at:
            changers.append(other.name)

    # Neither comes first by itself, and values pass by name.
    if len(makers) > 1:
        raise UsageError(
            f"`{name}`, which {unit.name} uses, is made by {' and by '.join(makers)}",
            hint="give the variables different names",
            where=_where(tagged, unit.cell),
        )
    return makers + changers


def _where(tagged: TaggedNotebook, cell: int) -> Location:
    return tagged.notebook.where(tagged.notebook.cell(cell))


def _with_edges(unit: _Unit, before: Iterable[str], ends_of: Mapping[str, Ends]) -> list[Step]:
    """The unit's steps, the first of them behind the last of those before."""

    def last_of(names: Iterable[str]) -> list[str]:
        steps: list[str] = []
        for name in names:
            steps += ends_of[name][1]
        return steps

    waited_for = last_of(before)
    first, _ = ends_of[unit.name]
    steps = []
    for step in unit.steps:
        after: Sequence[str] = step.after
        if not unit.is_notebook:  # a step's own tags may name a notebook
            after = last_of(after)
        if step.name in first or not unit.is_notebook:
            after = list(dict.fromkeys((*after, *waited_for)))
        steps.append(replace(step, after=tuple(after)))
    return steps
