"""A pipeline file and its notebooks composed into one pipeline; a notebook alone is one too."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError
from nbci.formatting.durations import parse_duration
from nbci.graph import by_name
from nbci.params import Parameter, bind
from nbci.params.types import MismatchError, conform, type_named, type_of
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.confirmation import check_confirmations
from nbci.pipeline.deploy_document import read_deployments
from nbci.pipeline.edges import StepNames, refuse_cycle, refuse_shared_outs
from nbci.pipeline.expressions import references, unknown
from nbci.pipeline.gates_document import check_gates, gate_places, read_gates, read_metrics
from nbci.pipeline.matrix_outs import MatrixOuts
from nbci.pipeline.model import Pipeline, Step, TaggedNotebook
from nbci.pipeline.monitor_rules import watched_rules
from nbci.pipeline.nodes import Group, expand, located
from nbci.pipeline.notebook_parameters import (
    composed_parameters,
    declared_by_notebook,
    step_declared,
)
from nbci.pipeline.paths import project_path
from nbci.pipeline.resolve import step_parameters
from nbci.pipeline.seeds import read_seeds
from nbci.pipeline.step_kinds import notebooks_of_kinds
from nbci.pipeline.sweeps_document import check_objectives, read_sweeps
from nbci.pipeline.tagged_paths import paths_from_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.pipeline.document import Document

_SUBSTITUTED = (
    *("params", "deps", "outs", "predictions", "metrics"),
    *("agent", "env", "environment", "container"),
)
"""The settings of a step in which `${...}` is replaced."""


def compose(document: Document, notebooks: Mapping[str, TaggedNotebook]) -> Pipeline:
    """The pipeline of a file.

    `notebooks` holds those of `notebook_paths(document)` by these paths.
    """
    notebooks = {**notebooks, **notebooks_of_kinds()}
    parameters = _parameters(document)
    groups: list[Group] = []
    for node in document.data["steps"]:
        groups += _expand_node(document, node, notebooks)
    names = StepNames(groups)
    steps: list[Step] = []
    for group in groups:
        steps += _with_edges(document, group, names)
    pipeline = _assemble(document, parameters, steps, notebooks)
    _check(document, pipeline)
    return pipeline


def _check(document: Document, pipeline: Pipeline) -> None:
    """UsageError for what is sound in each part of the file, and not in all of it together."""

    def where(step: Step) -> Location:
        return document.where("steps", step.node, key=True)

    steps = pipeline.steps
    refuse_cycle(steps, where)
    refuse_shared_outs(steps, where, MatrixOuts(document, pipeline.notebooks).explain)
    parameters = by_name(pipeline.params)
    for step in steps:
        _check_references(document, step, parameters)
    # A dict keeps their order, which the hint of an error has.
    step_names: dict[str, None] = {}
    for step in steps:
        step_names[step.name] = None
        step_names[step.node] = None
    check_gates(document, pipeline.gates, parameters, step_names)
    check_objectives(document, pipeline.sweeps, step_names)
    check_confirmations(document, pipeline)
    # Read for what is wrong in them: a run has no use for places where models run.
    read_deployments(document)
    _check_parameters(document, pipeline)


def notebook_pipeline(tagged: TaggedNotebook, path: str, folder: str | None = None) -> Pipeline:
    """The pipeline that a notebook is by itself; `path` is relative to the project's root.

    Its cells run in `folder`, by default in the notebook's own.
    """
    notebooks = {**tagged.parts, path: tagged}
    steps = []
    for step in tagged.steps:
        runs_in = folder or posixpath.dirname(step.notebook) or "."
        moved = paths_from_root(step, runs_in, Location(step.notebook))
        steps.append(replace(moved, folder=folder))

    def where(step: Step) -> Location:
        notebook = notebooks[step.notebook].notebook
        # A notebook without step tags may have no code cell at all.
        if not step.cells:
            return Location(step.notebook)
        return notebook.where(notebook.cell(step.cells[0]))

    refuse_cycle(steps, where)
    refuse_shared_outs(steps, where)
    return Pipeline(
        name=tagged.name,
        target=path,
        steps=tuple(steps),
        params=composed_parameters(tagged).parameters,
        notebooks=notebooks,
        metrics={},
        warnings=_warnings_of(notebooks),
    )


def _warnings_of(notebooks: Mapping[str, TaggedNotebook]) -> tuple[str, ...]:
    warnings: list[str] = []
    for tagged in notebooks.values():
        warnings += tagged.warnings
    return tuple(warnings)


def _assemble(
    document: Document,
    parameters: tuple[Parameter, ...],
    steps: Sequence[Step],
    notebooks: Mapping[str, TaggedNotebook],
) -> Pipeline:
    data = document.data
    metrics = read_metrics(document)
    used = _used_notebooks(steps, notebooks)
    watched, places = watched_rules(document, steps)
    run_timeout_seconds = None
    if "run_timeout" in data:
        run_timeout_seconds = parse_duration(data["run_timeout"])
    return Pipeline(
        name=document.name,
        target=document.path,
        description=data.get("description"),
        steps=tuple(steps),
        params=parameters,
        notebooks=used,
        metrics=metrics,
        gates=(*read_gates(document, metrics), *watched),
        gate_places=(*gate_places(document), *places),
        models=data.get("models"),
        model_places=_model_places(document),
        triggers=_triggers(document),
        retrain=_retrain(document),
        seeds=read_seeds(document, parameters),
        sweeps=read_sweeps(document, parameters, metrics),
        builds=data.get("builds"),
        fork_secrets=tuple(data.get("forks", {}).get("secrets", ())),
        names=tuple(data.get("names", ())),
        order=data.get("order", "declared"),
        keep_going=data.get("keep_going", False),
        # A literal of our own: msgspec tells defaults by identity, and a plan has one JSON.
        shell_errors="ignore" if data.get("shell_errors") == "ignore" else "fail",
        run_timeout_seconds=run_timeout_seconds,
        warnings=_warnings_of(used),
    )


def _model_places(document: Document) -> dict[str, Location]:
    """Where each model says which step measures it."""
    places = {}
    for name, fields in document.data.get("models", {}).items():
        if "evaluate" in fields:
            places[name] = document.where("models", name, "evaluate")
    return places


def _used_notebooks(
    steps: Sequence[Step], notebooks: Mapping[str, TaggedNotebook]
) -> dict[str, TaggedNotebook]:
    """The notebooks that steps run, and those that refer to them, in the order of the steps."""
    everything: dict[str, TaggedNotebook] = {}
    for tagged in notebooks.values():
        everything |= tagged.parts
    # A notebook that the file names is taken as it is, also where another refers to it.
    everything |= notebooks
    used = {}
    for step in steps:
        for path in (step.composition or step.notebook, step.notebook):
            used[path] = everything[path]
    return used


def _triggers(document: Document) -> Mapping[str, Any] | None:
    triggers: Mapping[str, Any] | None = document.data.get("triggers")
    if triggers and "cron" in triggers and "data" in triggers:
        # `data` lets a build of the timer end at once where no data has changed.
        raise UsageError(
            "`cron` and `data` do not go together: "
            "Jenkins does not tell which of them started a build",
            hint="let another job run at that time, and name it with `after:`",
            where=document.where("triggers", "data"),
        )
    if triggers and "monitor" in triggers:
        # The name is checked as any path of a pipeline file is; the file is read when it counts.
        where = document.where("triggers", "monitor", "pipeline")
        project_path(triggers["monitor"]["pipeline"], ".", where)
    return triggers


def _retrain(document: Document) -> Mapping[str, Any] | None:
    retrain: Mapping[str, Any] | None = document.data.get("retrain")
    data = (retrain or {}).get("data")
    if data is None:
        return retrain
    where = document.where("retrain", "data")
    if ("update" in data) == ("table" in data):
        raise UsageError(
            "new data come either from `update` or from a `log` into a `table`",
            hint="data: {update: [data/wine.csv]}, "
            "or data: {table: data/wine.csv, log: logs/wine, label: quality}",
            where=where,
        )
    needed = ("table", "log", "label")
    if "table" in data and not all(name in data for name in needed):
        raise UsageError("rows of a log need `table`, `log` and `label`", where=where)
    if "table" in data:
        project_path(data["table"], ".", document.where("retrain", "data", "table"))
    for name in ("log", "labels"):
        if name in data:
            _check_log_folder(document, name, data[name])
    for number, path in enumerate(data.get("update", ())):
        project_path(path, ".", document.where("retrain", "data", "update", number))
    return retrain


def _check_log_folder(document: Document, key: str, path: str) -> None:
    """UsageError for a folder that no machine has; where a log lies, each may say for itself."""
    with located(document.where, "retrain", "data", key):
        named = references(path)
        for reference in named:
            if reference.parameter not in document.data.get("params", {}):
                raise unknown("parameter", reference.text, document.data.get("params", {}))
    # A server's log is outside of the checkouts of a CI.
    if not named and not path.startswith("/"):
        project_path(path, ".", document.where("retrain", "data", key))


def _expand_node(
    document: Document, node: str, notebooks: Mapping[str, TaggedNotebook]
) -> tuple[Group, ...]:
    where = document.where("steps", node, "notebook")
    path = project_path(document.data["steps"][node]["notebook"], ".", where)
    if path not in notebooks:
        raise UsageError(f"there is no notebook {path}", where=where)
    return expand(document, node, notebooks[path])


def _parameters(document: Document) -> tuple[Parameter, ...]:
    specs = document.data.get("params", {})
    return tuple(_parameter(document, name, spec) for name, spec in specs.items())


def _parameter(document: Document, name: str, spec: Any) -> Parameter:
    where = document.where("params", name)
    declared = spec
    if not isinstance(spec, dict):
        declared = {"default": spec}
    default = declared["default"]
    kind = type_of(default)
    if "type" in declared:
        named = type_named(declared["type"])
        if named is None:
            raise UsageError(
                f"unknown type {declared['type']!r} of parameter {name}",
                hint="write int, float, str, bool, list, dict, list[int] "
                "or for example float | None",
                where=document.where("params", name, "type"),
            )
        # `float` with the default null: that can only mean `float | None`.
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


def _with_edges(document: Document, group: Group, names: StepNames) -> tuple[Step, ...]:
    """The group's steps with `after` as names of steps; the node's own `after` binds the roots."""
    waited_for: list[str] = []
    for index, name in enumerate(group.nodes_after):
        with located(document.where, "steps", group.node, "after", index):
            waited_for += names.steps_before(name, group.node)
    # A parameter that is a step's metric is an edge, too.
    with located(document.where, "steps", group.node, "params"):
        for reference in references(group.steps[0].params):
            if reference.step:
                waited_for += names.steps_before(reference.step, group.node)
    # Copies of 10,000 steps take time.
    if not waited_for:
        return group.steps
    steps = []
    for step in group.steps:
        if step.name in group.roots:
            after = tuple(dict.fromkeys((*step.after, *waited_for)))
            steps.append(replace(step, after=after))
        else:
            steps.append(step)
    return tuple(steps)


def _check_references(document: Document, step: Step, parameters: Mapping[str, Parameter]) -> None:
    """UsageError where a `${name}` names no parameter of the pipeline.

    Metrics of earlier steps go into `params` only: the plan needs the other settings as they are.
    """
    for key in _SUBSTITUTED:
        value = getattr(step, key)
        # Most settings of most steps are empty, and a matrix may make 10,000 steps.
        if not value:
            continue
        with located(document.where, "steps", step.node, key):
            for reference in references(value):
                if reference.step and key != "params":
                    raise UsageError(
                        f"${{{reference.text}}} can stand in `params` only, not in `{key}`"
                    )
                if reference.parameter and reference.parameter not in parameters:
                    raise unknown("parameter", reference.parameter, parameters)
    if step.when is not None:
        with located(document.where, "steps", step.node, "when"):
            check_condition(step.when, parameters, step.matrix or {})


def _check_parameters(document: Document, pipeline: Pipeline) -> None:
    """What the steps hand to their notebooks fits, as far as the defaults tell."""
    defaults = bind(pipeline.params, [])
    declared = declared_by_notebook(pipeline)
    # The steps of one notebook get the same parameters, unless their matrix differs.
    checked: set[tuple[str, str, str]] = set()
    for step in pipeline.steps:
        one = (step.node, step.notebook, repr(step.matrix))
        if one in checked:
            continue
        checked.add(one)
        with located(document.where, "steps", step.node, "params"):
            step_parameters(pipeline, step, defaults, step_declared(step, declared))
