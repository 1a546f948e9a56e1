"""The parameters that notebooks declare: each by itself, and those that refer to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.params import Declared, Parameter, declared_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.pipeline.model import Pipeline, Step, TaggedNotebook


def notebook_parameters(tagged: TaggedNotebook) -> Declared:
    """What the notebook's parameters cells declare."""
    notebook = tagged.notebook
    cells = [(number, notebook.cell(number).source) for number in tagged.blocks.parameters]
    return declared_parameters(cells, path=notebook.path, language=notebook.language)


def composed_parameters(tagged: TaggedNotebook) -> Declared:
    """What the notebook declares, and what those that it refers to declare besides."""
    own = notebook_parameters(tagged)
    return _with_others(own, list(map(notebook_parameters, tagged.parts.values())))


def declared_by_notebook(pipeline: Pipeline) -> dict[str, Declared]:
    """What the parameters cells of each notebook declare, by the notebook's path."""
    # Once for each notebook: its cells are parsed for it, and it may have 10,000 steps.
    declared = {}
    for path, tagged in pipeline.notebooks.items():
        declared[path] = notebook_parameters(tagged)
    return declared


def step_declared(step: Step, declared: Mapping[str, Declared]) -> Declared:
    """What the step's notebook declares, of what each notebook does.

    The notebook that refers to it hands down what it declares itself.
    """
    own = declared[step.notebook]
    if step.composition in ("", step.notebook):
        return own
    return _with_others(declared[step.composition], [own])


def _with_others(declared: Declared, others: Sequence[Declared]) -> Declared:
    """The first notebook that declares a parameter decides what it is, and where it stands."""
    found: dict[str, Parameter] = {}
    for one in (declared, *others):
        for parameter in one.parameters:
            found.setdefault(parameter.name, parameter)
    return replace(declared, parameters=tuple(found.values()))
