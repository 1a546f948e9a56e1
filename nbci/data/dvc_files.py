"""Turn a run into stages of `dvc.yaml` and entries of `dvc.lock`.

Nothing is read or written here; other modules of `nbci.data` do that. The form is that of DVC's
schema 2.0.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nbci.dot_nbci import NBCI_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import FileRef, ParameterValue, RunRecord, StepRecord

LOCK_SCHEMA = "2.0"
PARAMS_FILE = "params.yaml"
NOTES = f"{NBCI_FOLDER}/dvc"
MARK = "nbci"
"""The key under a stage's `meta` whose value is the target that nbci wrote it for."""
OUT_KINDS = ("outs", "metrics", "plots")
_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".svg"}
_PLOTTED = {".csv", ".tsv", ".json", ".yaml", ".yml"}
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_NOT_IN_STAGE_NAMES = re.compile(r"[^\w-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DvcStages:
    """`stages` as in dvc.yaml and `locked` as in dvc.lock, by stage name.

    Paths are relative to the project's root.
    """

    stages: Mapping[str, Mapping[str, Any]]
    locked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What stages say when they stand in the project itself, to be run by DVC.

    By step: `params` are the values of params.yaml that it depends on, by their keys; `notes` the
    files that nbci writes for DVC, each with its kind. `committed` are outs that git has, of which
    DVC keeps nothing.
    """

    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    committed: frozenset[str] = frozenset()


def dvc_stages(
    plan: Plan,
    record: RunRecord,
    *,
    files: Mapping[str, FileRef],
    taken: Iterable[str] = (),
    params: str = "",
    exported: Exported | None = None,
) -> DvcStages:
    """The steps that have a result as stages of DVC.

    `files` are facts on files that no step declares, the notebooks above all, with MD5 digests; it
    also stands in for what the record says of a file. `taken` are names that stages of others have,
    `params` is added to each command.
    """
    names = stage_names(plan.names, taken)
    stages: dict[str, dict[str, Any]] = {}
    locked: dict[str, dict[str, Any]] = {}
    for planned in plan.steps:
        step = record.step(planned.name)
        if step is None or not step.ended_well:
            continue
        stage, lock = _stage(plan, planned, step, files, exported)
        command = stage_command(plan, planned, params)
        stages[names[planned.name]] = {
            "cmd": literal(command),
            **stage,
            "meta": {MARK: literal(plan.target)},
        }
        locked[names[planned.name]] = {"cmd": command, **lock}
    return DvcStages(stages=stages, locked=locked)


def _stage(
    plan: Plan,
    planned: PlannedStep,
    step: StepRecord,
    files: Mapping[str, FileRef],
    exported: Exported | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a stage of dvc.yaml says besides its command, and what dvc.lock says of it."""
    outs = _outs(planned, exported)
    # DVC refuses a stage whose out is also one of its dependencies
    deps = sorted(set(_deps(plan, planned, step, files)) - set(planned.outs) - set(planned.metrics))
    known = {ref.path: ref for ref in (*step.deps, *step.outs)} | dict(files)
    params: Mapping[str, Any] = {}
    committed: frozenset[str] = frozenset()
    if exported is not None:
        params = exported.params.get(planned.name, {})
        committed = exported.committed

    stage: dict[str, Any] = {
        "deps": list(map(literal, deps)),
        "params": sorted(params),
    }
    for kind, paths in outs.items():
        stage[kind] = [_as_listed(path, committed=path in committed) for path in paths]

    lock: dict[str, Any] = {"deps": _lock_entries(deps, known)}
    if params:
        lock["params"] = {PARAMS_FILE: dict(sorted(params.items()))}
    lock["outs"] = _lock_entries(sorted(set().union(*outs.values())), known)
    return without_empty(stage), without_empty(lock)


def _deps(
    plan: Plan, planned: PlannedStep, step: StepRecord, files: Mapping[str, FileRef]
) -> Iterator[str]:
    """Yield the step's notebook, its data, its modules, and the notes of other steps.

    For data that DVC tracks, it is the data itself that is named, not the `.dvc` file.
    """
    paths = list(planned.deps)
    for ref in step.deps:
        paths.append(ref.path)
    for path in paths:
        if not path.endswith(".dvc"):
            yield path

    candidates = [planned.notebook]
    for part in step.observed:
        if part.kind in ("module", "file"):
            candidates.append(part.label)
    for needed in needed_steps(planned):
        values, _ = note_paths(plan, needed)
        candidates.append(values)
    # what `files` leaves out has no digest, and DVC would ask for a file that no stage makes
    yield from filter(files.__contains__, candidates)


def needed_steps(step: PlannedStep) -> tuple[str, ...]:
    """The steps that it waits for or takes values or metrics from."""
    names = list(step.after)
    for take in step.takes:
        names += take.givers
    params = json.dumps(dict(step.params or {}), default=str)
    names += re.findall(r"\$\{([\w/-]+):", params)
    return tuple(dict.fromkeys(names))


def _outs(planned: PlannedStep, exported: Exported | None) -> dict[str, list[str]]:
    """What the step makes, by the kind that it has for DVC."""
    outs: dict[str, list[str]] = {kind: [] for kind in OUT_KINDS}
    outs["metrics"] += dict.fromkeys(planned.metrics)
    for path in dict.fromkeys(planned.outs):
        # DVC refuses an out that stands under two kinds
        if path in planned.metrics:
            continue
        if is_plot(path):
            outs["plots"].append(path)
        else:
            outs["outs"].append(path)

    if exported is not None:
        for path, kind in exported.notes.get(planned.name, {}).items():
            outs[kind].append(path)
    return outs


def is_plot(path: str) -> bool:
    """Whether an out is a plot for DVC: a picture, or data in a folder `plots`."""
    place = PurePosixPath(path)
    return place.suffix.lower() in _PICTURES or (
        "plots" in place.parts[:-1] and place.suffix.lower() in _PLOTTED
    )


def note_paths(plan: Plan, step: str) -> tuple[str, str]:
    """Where the notes of a step lie for DVC: what it hands on, and its metrics."""
    folder = f"{NOTES}/{section_of(plan.pipeline)}/{step}"
    return f"{folder}/values.json", f"{folder}/metrics.json"


def notes_of(plan: Plan, step: StepRecord) -> dict[str, str]:
    """Return the texts of the notes of a step, by path.

    DVC knows only files, so what a step hands on besides files is written into one, as digests. The
    metrics leave out those that the step wrote into a file itself.
    """
    values, metrics = note_paths(plan, step.name)
    own_files = plan.step(step.name).metrics
    found: dict[str, Any] = {}
    own = {}
    for metric in step.metrics:
        found[metric.name] = metric.value
        # DVC would find a metric of such a file twice
        if metric.source not in own_files:
            own[metric.name] = metric.value
    for scrap in step.scraps:
        found[scrap.name] = scrap.data

    referenced: set[str] = set()
    for other in plan.steps:
        referenced |= references_to(step.name, other)
    handed = {
        "values": {ref.name: ref.object for ref in step.gives},
        "metrics": {name: found[name] for name in referenced & found.keys()},
    }
    return {values: _json(handed), metrics: _json(own)}


def references_to(giver: str, step: PlannedStep) -> set[str]:
    """The metrics of `giver` that the step has among its parameters, as `${giver:metric}`."""
    text = json.dumps(dict(step.params or {}), default=str, ensure_ascii=False)
    return set(re.findall(rf"\$\{{{re.escape(giver)}:([^}}]+)\}}", text))


def section_of(pipeline: str) -> str:
    """Return the section of params.yaml that holds the parameters of a pipeline.

    Dots are replaced, since DVC takes them for levels.
    """
    return _NOT_IN_STAGE_NAMES.sub("-", pipeline)


def stage_names(steps: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name that DVC allows for each step, with a number where the name is taken.

    `train/svm` is `train-svm`.

    >>> stage_names(["train/svm", "train-svm"])
    {'train/svm': 'train-svm', 'train-svm': 'train-svm-2'}
    """
    used = set(taken)
    names = {}
    for step in steps:
        plain = _NOT_IN_STAGE_NAMES.sub("-", step)
        name = plain
        number = 1
        while name in used:
            number += 1
            name = f"{plain}-{number}"
        names[step] = name
        used.add(name)
    return names


def stage_command(plan: Plan, step: PlannedStep, params: str = "") -> str:
    """The command line that runs just this step."""
    command = f"nbci run {shlex.quote(plan.target)} --only {shlex.quote(step.name)}"
    if params:
        command += f" {params}"
    return command


def given_params(params: Iterable[ParameterValue]) -> str:
    """Return the options that repeat parameters given from outside the project's files."""
    outside = ("-p", "-f ", "environment ", PARAMS_FILE)
    options = []
    for param in params:
        # the rest stands in the notebook or the pipeline file, which the stage depends on
        if param.source.startswith(outside):
            assignment = f"{param.name}={_assigned_text(param.value)}"
            options.append(f"-p {shlex.quote(assignment)}")
    return " ".join(options)


def _lock_entries(paths: Iterable[str], known: Mapping[str, FileRef]) -> list[dict[str, Any]]:
    """The entries of those of the paths that have one."""
    entries = []
    for path in paths:
        entry = lock_entry(known.get(path))
        if entry is not None:
            entries.append(entry)
    return entries


def lock_entry(ref: FileRef | None) -> dict[str, Any] | None:
    """A file or folder as dvc.lock has it; None for what is not known by an MD5."""
    # DVC compares files by their MD5, so an entry with another digest would always differ
    if ref is None or not _MD5.fullmatch(ref.digest):
        return None
    entry: dict[str, Any] = {"path": ref.path, "hash": "md5", "md5": ref.digest, "size": ref.bytes}
    if ref.digest.endswith(".dir"):
        entry["nfiles"] = ref.files
    return entry


def _as_listed(path: str, *, committed: bool) -> str | dict[str, Any]:
    # git has the file already; with a cache, DVC would refuse an out that git tracks
    if committed:
        return {literal(path): {"cache": False}}
    return literal(path)


def literal(text: str) -> str:
    """Return the text escaped so that DVC substitutes nothing in it."""
    return text.replace("${", "\\${")


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def without_empty(stage: dict[str, Any]) -> dict[str, Any]:
    """The stage without its empty keys."""
    return {key: value for key, value in stage.items() if value}


def _assigned_text(value: Any) -> str:
    """The value as `-p NAME=VALUE` takes it: a text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
