"""A pipeline file and its notebooks composed into one pipeline; a notebook alone is one too."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError
from nbci.formatting.durations import parse_duration
from nbci.params import Declared, Parameter, bind, declared_parameters
from nbci.params.types import MismatchError, conform, type_named, type_of
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.edges import StepNames, refuse_cycle, refuse_shared_outs
from nbci.pipeline.expressions import references, unknown
from nbci.pipeline.gates_document import check_gates, gate_places, read_gates, read_metrics
from nbci.pipeline.model import Pipeline, Step, TaggedNotebook
from nbci.pipeline.nodes import Group, expand, located, rooted
from nbci.pipeline.paths import project_path
from nbci.pipeline.resolve import step_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.pipeline.document import Document


def compose(document: Document, notebooks: Mapping[str, TaggedNotebook]) -> Pipeline:
    """The pipeline of a file; `notebooks` holds those of `notebook_paths(document)` by these paths."""
    parameters = _parameters(document)
    groups = [
        group for node in document.data["steps"] for group in _expanded(document, node, notebooks)
    ]
    names = StepNames(groups)
    steps = tuple(step for group in groups for step in _ordered(document, group, names))
    pipeline = _assembled(document, parameters, steps, notebooks)

    def where(step: Step) -> Location:
        return document.where("steps", step.node, key=True)

    refuse_cycle(steps, where)
    refuse_shared_outs(steps, where)
    for step in steps:
        _check_references(document, step, parameters)
    known = {parameter.name: parameter for parameter in parameters}
    check_gates(
        document,
        pipeline.gates,
        known,
        {name: None for step in steps for name in (step.name, step.node)},
    )
    _check_parameters(document, pipeline)
    return pipeline


def notebook_pipeline(tagged: TaggedNotebook, path: str, folder: str | None = None) -> Pipeline:
    """The pipeline that a notebook is by itself; `path` is relative to the project's root.

    Its cells run in `folder`, by default in the notebook's own.
    """
    notebooks = {**tagged.parts, path: tagged}
    steps = tuple(
        replace(
            rooted(
                step, folder or posixpath.dirname(step.notebook) or ".", Location(step.notebook)
            ),
            folder=folder,
        )
        for step in tagged.steps
    )

    def where(step: Step) -> Location:
        notebook = notebooks[step.notebook].notebook
        return (
            notebook.where(notebook.cell(step.cells[0])) if step.cells else Location(step.notebook)
        )

    refuse_cycle(steps, where)
    refuse_shared_outs(steps, where)
    return Pipeline(
        name=tagged.name,
        target=path,
        steps=steps,
        params=composed_parameters(tagged).parameters,
        notebooks=notebooks,
        metrics={},
        warnings=tuple(warning for one in notebooks.values() for warning in one.warnings),
    )


def notebook_parameters(tagged: TaggedNotebook) -> Declared:
    """What the notebook's parameters cells declare."""
    notebook = tagged.notebook
    cells = [(number, notebook.cell(number).source) for number in tagged.blocks.parameters]
    return declared_parameters(cells, path=notebook.path, language=notebook.language)


def composed_parameters(tagged: TaggedNotebook) -> Declared:
    """What the notebook declares, and what those that it refers to declare besides."""
    own = notebook_parameters(tagged)
    return _with_others(own, [notebook_parameters(part) for part in tagged.parts.values()])


def step_declared(step: Step, notebooks: Mapping[str, TaggedNotebook]) -> Declared:
    """What the step's notebook declares; the notebook that refers to it hands down what it declares
    itself.
    """
    own = notebook_parameters(notebooks[step.notebook])
    if step.composition in ("", step.notebook):
        return own
    return _with_others(notebook_parameters(notebooks[step.composition]), [own])


def _with_others(declared: Declared, others: Sequence[Declared]) -> Declared:
    found = {parameter.name: parameter for one in reversed(others) for parameter in one.parameters}
    found |= {parameter.name: parameter for parameter in declared.parameters}
    names = dict.fromkeys(
        parameter.name for one in (declared, *others) for parameter in one.parameters
    )
    return replace(declared, parameters=tuple(found[name] for name in names))


def _assembled(
    document: Document,
    parameters: tuple[Parameter, ...],
    steps: tuple[Step, ...],
    notebooks: Mapping[str, TaggedNotebook],
) -> Pipeline:
    data = document.data
    metrics = read_metrics(document)
    everything = {
        path: part for tagged in notebooks.values() for path, part in tagged.parts.items()
    } | {**notebooks}
    named = dict.fromkeys(
        path for step in steps for path in (step.composition or step.notebook, step.notebook)
    )
    used = {path: everything[path] for path in named}
    return Pipeline(
        name=document.name,
        target=document.path,
        steps=steps,
        params=parameters,
        notebooks=used,
        metrics=metrics,
        gates=read_gates(document, metrics),
        gate_places=gate_places(document),
        models=data.get("models"),
        triggers=_triggers(document),
        builds=data.get("builds"),
        fork_secrets=tuple(data.get("forks", {}).get("secrets", ())),
        names=tuple(data.get("names", ())),
        order=data.get("order", "declared"),
        keep_going=data.get("keep_going", False),
        shell_errors="ignore" if data.get("shell_errors") == "ignore" else "fail",
        run_timeout_seconds=parse_duration(data["run_timeout"]) if "run_timeout" in data else None,
        warnings=tuple(warning for tagged in used.values() for warning in tagged.warnings),
    )


def _triggers(document: Document) -> Mapping[str, Any] | None:
    triggers: Mapping[str, Any] | None = document.data.get("triggers")
    if triggers and "cron" in triggers and "data" in triggers:
        raise UsageError(
            "`cron` and `data` do not go together: Jenkins does not tell which of them started a build",
            hint="let another job run at that time, and name it with `after:`",
            where=document.where("triggers", "data"),
        )
    return triggers


def _expanded(
    document: Document, node: str, notebooks: Mapping[str, TaggedNotebook]
) -> tuple[Group, ...]:
    where = document.where("steps", node, "notebook")
    path = project_path(document.data["steps"][node]["notebook"], ".", where)
    if path not in notebooks:
        raise UsageError(f"there is no notebook {path}", where=where)
    return expand(document, node, notebooks[path])


def _parameters(document: Document) -> tuple[Parameter, ...]:
    return tuple(
        _parameter(document, name, spec) for name, spec in document.data.get("params", {}).items()
    )


def _parameter(document: Document, name: str, spec: Any) -> Parameter:
    where = document.where("params", name)
    declared = spec if isinstance(spec, dict) else {"default": spec}
    default = declared["default"]
    kind = type_of(default)
    if "type" in declared:
        named = type_named(declared["type"])
        if named is None:
            raise UsageError(
                f"unknown type {declared['type']!r} of parameter {name}",
                hint="write int, float, str, bool, list, dict, list[int] or for example float | None",
                where=document.where("params", name, "type"),
            )
        kind = replace(named, optional=named.optional or default is None)
    try:
        choices = tuple(conform(choice, kind) for choice in declared.get("choices", ()))
        kind = replace(kind, choices=choices or kind.choices)
        value = conform(default, kind)
    except MismatchError as error:
        raise UsageError(f"the parameter {name} takes {error}", where=where) from error
    return Parameter(
        name=name,
        default=value,
        type=kind,
        source=document.path,
        help=declared.get("help"),
        where=where,
    )


def _ordered(document: Document, group: Group, names: StepNames) -> tuple[Step, ...]:
    """The group's steps with `after` as names of steps; the node's own `after` binds the roots."""
    waited_for: list[str] = []
    for index, name in enumerate(group.nodes_after):
        with located(document.where, "steps", group.node, "after", index):
            waited_for += names.waited_for(name, group.node)
    with located(document.where, "steps", group.node, "params"):
        for reference in references(group.steps[0].params):
            if reference.step:
                waited_for += names.waited_for(reference.step, group.node)
    if not waited_for:
        return group.steps
    return tuple(
        replace(step, after=tuple(dict.fromkeys((*step.after, *waited_for))))
        if step.name in group.roots
        else step
        for step in group.steps
    )


def _check_references(document: Document, step: Step, parameters: Sequence[Parameter]) -> None:
    """Every `${name}` names a parameter of the pipeline; metrics of earlier steps go into `params`
    only.
    """
    known = {parameter.name: parameter for parameter in parameters}
    settings = {key: getattr(step, key) for key in _SUBSTITUTED}
    for key, value in settings.items():
        if not value:
            continue
        with located(document.where, "steps", step.node, key):
            for reference in references(value):
                if reference.step and key != "params":
                    raise UsageError(
                        f"${{{reference.text}}} can stand in `params` only, not in `{key}`"
                    )
                if reference.parameter and reference.parameter not in known:
                    raise unknown("parameter", reference.parameter, known)
    if step.when is not None:
        with located(document.where, "steps", step.node, "when"):
            check_condition(step.when, known, step.matrix or {})


def _check_parameters(document: Document, pipeline: Pipeline) -> None:
    """What the steps hand to their notebooks fits, as far as the defaults tell."""
    defaults = bind(pipeline.params, [])
    checked: set[tuple[str, str, str]] = set()
    for step in pipeline.steps:
        one = (step.node, step.notebook, repr(step.matrix))
        if one not in checked:
            checked.add(one)
            with located(document.where, "steps", step.node, "params"):
                step_parameters(pipeline, step, defaults, step_declared(step, pipeline.notebooks))


_SUBSTITUTED = ("params", "deps", "outs", "metrics", "agent", "env", "environment", "container")
