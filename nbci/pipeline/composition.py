"""A notebook that refers to others, with the steps of all of them: Kale's compositions of
notebooks.

What is ordered how stands in Kale's `link_composition_units`: whoever uses a variable comes after
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
from nbci.dataflow.prelude import split
from nbci.errors import UsageError
from nbci.graph import Cycle, topological
from nbci.params import declared_parameters
from nbci.pipeline.paths import project_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement
    from nbci.errors import Location
    from nbci.notebook.tags import CellTags
    from nbci.pipeline.model import Reference, Step, TaggedNotebook


class _Unit(Struct, frozen=True, kw_only=True):
    """A step of the referring notebook, or a whole notebook that it refers to; `steps` have their
    final names.
    """

    name: str
    cell: int
    steps: tuple[Step, ...]
    makes: frozenset[str]
    needs: frozenset[str]
    is_notebook: bool

    @property
    def first(self) -> tuple[str, ...]:
        """The steps that wait for none of the unit's."""
        here = {step.name for step in self.steps}
        return tuple(step.name for step in self.steps if here.isdisjoint(step.after))

    @property
    def last(self) -> tuple[str, ...]:
        """The steps that none of the unit's waits for."""
        waited_for = {name for step in self.steps for name in step.after}
        return tuple(step.name for step in self.steps if step.name not in waited_for)


def references(tagged: TaggedNotebook) -> dict[str, Reference]:
    """The notebooks that this one refers to, by path from the project's root."""
    notebook = tagged.notebook
    found: dict[str, Reference] = {}
    for reference in tagged.references:
        where = notebook.where(notebook.cell(reference.cell))
        path = project_path(reference.path, posixpath.dirname(notebook.path) or ".", where)
        if path == notebook.path:
            raise UsageError("the notebook refers to itself", where=where)
        found[path] = reference
    return found


def unfold(tagged: TaggedNotebook, others: Mapping[str, TaggedNotebook]) -> TaggedNotebook:
    """The notebook with the steps of those that it refers to; `others` holds them by path from the
    project's root.
    """
    if not tagged.references:
        return tagged
    _refuse_unclear(tagged, others)
    units = [_step_unit(tagged, step) for step in tagged.steps]
    for path, reference in references(tagged).items():
        units.append(_notebook_unit(others[path], reference, tagged))
    units.sort(key=lambda unit: unit.cell)
    before = _order(tagged, units)
    steps = tuple(step for unit in units for step in _joined(unit, before[unit.name], units))
    return replace(tagged, steps=steps, parts=dict(others), declares_edges=True)


def _refuse_unclear(tagged: TaggedNotebook, others: Mapping[str, TaggedNotebook]) -> None:
    notebook = tagged.notebook
    names = Counter(
        [
            *(step.name for step in tagged.steps),
            *(reference.name for reference in tagged.references),
        ]
    )
    for reference in tagged.references:
        where = notebook.where(notebook.cell(reference.cell))
        if names[reference.name] > 1:
            raise UsageError(f"two steps or notebooks are named {reference.name}", where=where)
    paths = references(tagged)
    if len(paths) < len(tagged.references):
        raise UsageError(
            "the notebook refers to another twice", where=notebook.where(notebook.cell(1))
        )
    for path, reference in paths.items():
        if others[path].references:
            raise UsageError(
                f"{path} refers to notebooks, too",
                hint="refer to all of them from this notebook",
                where=notebook.where(notebook.cell(reference.cell)),
            )
    if tagged.blocks.metrics and not tagged.steps:
        raise UsageError(
            "this notebook has no step of its own whose end could name these metrics",
            hint="put the metrics cell into the notebook that makes them",
            where=notebook.where(notebook.cell(tagged.blocks.metrics[0])),
        )


def _step_unit(tagged: TaggedNotebook, step: Step) -> _Unit:
    own = _names(tagged, step.cells)
    given = _given(tagged)
    return _Unit(
        name=step.name,
        cell=step.cells[0] if step.cells else 0,
        steps=(replace(step, composition=tagged.notebook.path),),
        makes=own.binds - own.imports,
        needs=own.needs - given,
        is_notebook=False,
    )


def _notebook_unit(tagged: TaggedNotebook, reference: Reference, root: TaggedNotebook) -> _Unit:
    def full(name: str) -> str:
        return reference.name if tagged.whole else f"{reference.name}/{name}"

    steps = tuple(
        _with_defaults(
            replace(
                step,
                name=full(step.name),
                after=tuple(full(name) for name in step.after),
                composition=root.notebook.path,
            ),
            root.defaults,
        )
        for step in tagged.steps
    )
    own = _names(tagged, [number for step in tagged.steps for number in step.cells])
    return _Unit(
        name=reference.name,
        cell=reference.cell,
        steps=steps,
        makes=own.binds - own.imports,
        needs=own.needs - _given(tagged) - _given(root, prelude=False),
        is_notebook=True,
    )


def _with_defaults(step: Step, defaults: CellTags) -> Step:
    """What holds for every step of a composition holds where the step says nothing itself."""
    settings = {
        key: value for key, value in defaults.settings.items() if getattr(step, key) is None
    }
    if not step.report or defaults.settings.get("report") is False:
        settings["report"] = False
    return replace(
        step,
        **settings,
        secrets=tuple(dict.fromkeys((*step.secrets, *defaults.secrets))),
        annotations={**defaults.annotations, **(step.annotations or {})} or None,
        labels={**defaults.labels, **(step.labels or {})} or None,
    )


def _names(tagged: TaggedNotebook, numbers: Sequence[int]) -> Names:
    notebook = tagged.notebook
    if notebook.language != "python":
        return names_of([])
    cells = [notebook.cell(number) for number in numbers]
    known = names_of([one.code for one in _prelude(tagged)]).definitions
    parsed = [
        parse_cell(cell.source, where=notebook.where(cell), stars=tagged.stars) for cell in cells
    ]
    return names_of(parsed, known=known)


def _prelude(tagged: TaggedNotebook) -> list[Statement]:
    notebook = tagged.notebook
    numbers = (*tagged.blocks.imports, *tagged.blocks.functions)
    cells = [notebook.cell(number) for number in numbers]
    return [
        one
        for cell in cells
        for one in split(cell.number, cell.source, where=notebook.where(cell), stars=tagged.stars)
    ]


def _given(tagged: TaggedNotebook, *, prelude: bool = True) -> frozenset[str]:
    """The names that the notebook's steps have from its parameters, imports and functions."""
    if tagged.notebook.language != "python":
        return frozenset()
    cells = [(number, tagged.notebook.cell(number).source) for number in tagged.blocks.parameters]
    declared = declared_parameters(cells, path=tagged.notebook.path, language="python")
    names = {parameter.name for parameter in declared.parameters} | {
        code.name for code in declared.code_names
    }
    return frozenset(names).union(*(one.binds for one in _prelude(tagged) if prelude))


def _order(tagged: TaggedNotebook, units: Sequence[_Unit]) -> dict[str, list[str]]:
    """For each unit those that it comes right after."""
    before: dict[str, list[str]] = {unit.name: [] for unit in units}
    for at, unit in enumerate(units):
        for name in sorted(unit.needs):
            before[unit.name] += _makers(tagged, unit, name, units[:at], units)
    barrier: _Unit | None = None
    since: list[str] = []
    for unit in units:
        if not unit.is_notebook:
            before[unit.name] += [*([barrier.name] if barrier else []), *since]
            barrier, since = unit, []
            continue
        before[unit.name] += [barrier.name] if barrier else []
        since.append(unit.name)
    try:
        topological(before)
    except Cycle as cycle:
        raise UsageError(
            f"the notebooks and steps wait for each other in a cycle: {cycle}",
            hint="a cell stands below the cells that make what it uses",
            where=_where(tagged, units[0]),
        ) from cycle
    return before


def _makers(
    tagged: TaggedNotebook, unit: _Unit, name: str, above: Sequence[_Unit], units: Sequence[_Unit]
) -> list[str]:
    """Who makes the variable for this unit, and who above it makes another of it."""
    makers = [
        one for one in units if name in one.makes and name not in one.needs and one is not unit
    ]
    if len(makers) > 1:
        raise UsageError(
            f"`{name}`, which {unit.name} uses, is made by {' and by '.join(one.name for one in makers)}",
            hint="give the variables different names",
            where=_where(tagged, unit),
        )
    changers = [one for one in above if name in one.makes and name in one.needs]
    return [one.name for one in (*makers, *changers)]


def _where(tagged: TaggedNotebook, unit: _Unit) -> Location:
    return tagged.notebook.where(tagged.notebook.cell(unit.cell))


def _joined(unit: _Unit, before: Iterable[str], units: Sequence[_Unit]) -> list[Step]:
    """The unit's steps, the first of them behind the last of those before."""
    last = {other.name: other.last for other in units}
    waited_for = tuple(dict.fromkeys(name for other in before for name in last[other]))
    joined = []
    for step in unit.steps:
        after = step.after
        if not unit.is_notebook:  # a step's own tags may name a notebook
            after = tuple(name for other in after for name in last[other])
        if step.name in unit.first or not unit.is_notebook:
            after = tuple(dict.fromkeys((*after, *waited_for)))
        joined.append(replace(step, after=after))
    return joined
