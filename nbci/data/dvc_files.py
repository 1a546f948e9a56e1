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
    names = stage_names([step.name for step in plan.steps], taken)
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
    params = exported.params.get(planned.name, {}) if exported is not None else {}
    stage = {
        "deps": [literal(path) for path in deps],
        "params": sorted(params),
        **{
            kind: [
                _as_listed(path, committed=exported is not None and path in exported.committed)
                for path in paths
            ]
            for kind, paths in outs.items()
        },
    }
    lock = {
        "deps": [entry for path in deps if (entry := lock_entry(known.get(path)))],
        "params": {PARAMS_FILE: dict(sorted(params.items()))} if params else {},
        "outs": [
            entry
            for path in sorted(set().union(*outs.values()))
            if (entry := lock_entry(known.get(path)))
        ],
    }
    return without_empty(stage), without_empty(lock)


def _deps(
    plan: Plan, planned: PlannedStep, step: StepRecord, files: Mapping[str, FileRef]
) -> Iterator[str]:
    """Yield the step's notebook, its data, its modules, and the notes of other steps.

    For data that DVC tracks, it is the data itself that is named, not the `.dvc` file.
    """
    yield from (path for path in planned.deps if not path.endswith(".dvc"))
    yield from (ref.path for ref in step.deps if not ref.path.endswith(".dvc"))
    used = [part.label for part in step.observed if part.kind in ("module", "file")]
    notes = [note_paths(plan, giver)[0] for giver in givers_of(planned)]
    yield from (path for path in (planned.notebook, *used, *notes) if path in files)


def givers_of(step: PlannedStep) -> tuple[str, ...]:
    """The steps that it waits for or takes values or metrics from."""
    metrics = re.findall(r"\$\{([\w/-]+):", json.dumps(dict(step.params or {}), default=str))
    return tuple(
        dict.fromkeys(
            [*step.after, *(giver for take in step.takes for giver in take.givers), *metrics]
        )
    )


def _outs(planned: PlannedStep, exported: Exported | None) -> dict[str, list[str]]:
    """What the step makes, by the kind that it has for DVC."""
    outs = [path for path in dict.fromkeys(planned.outs) if path not in planned.metrics]
    noted = exported.notes.get(planned.name, {}) if exported is not None else {}
    return {
        "outs": [
            *(path for path in outs if not is_plot(path)),
            *(path for path, kind in noted.items() if kind == "outs"),
        ],
        "metrics": [
            *dict.fromkeys(planned.metrics),
            *(path for path, kind in noted.items() if kind == "metrics"),
        ],
        "plots": [path for path in outs if is_plot(path)],
    }


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
    asked = {name for other in plan.steps for name in references_to(step.name, other)}
    handed = {ref.name: ref.object for ref in step.gives}
    found = {metric.name: metric.value for metric in step.metrics}
    found |= {scrap.name: scrap.data for scrap in step.scraps}
    own = {m.name: m.value for m in step.metrics if m.source not in plan.step(step.name).metrics}
    return {
        values: _json(
            {
                "values": handed,
                "metrics": {name: found[name] for name in sorted(asked & found.keys())},
            }
        ),
        metrics: _json(own),
    }


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
        numbered = (f"{plain}-{number}" for number in range(2, len(used) + 3))
        names[step] = (
            plain if plain not in used else next(name for name in numbered if name not in used)
        )
        used.add(names[step])
    return names


def stage_command(plan: Plan, step: PlannedStep, params: str = "") -> str:
    """The command line that runs just this step."""
    return " ".join(
        [
            "nbci run",
            shlex.quote(plan.target),
            "--only",
            shlex.quote(step.name),
            *([params] if params else []),
        ]
    )


def given_params(params: Iterable[ParameterValue]) -> str:
    """Return the options that repeat parameters given from outside the project's files."""
    outside = ("-p", "-f ", "environment ", PARAMS_FILE)
    return " ".join(
        f"-p {shlex.quote(f'{param.name}={_written(param.value)}')}"
        for param in params
        if param.source.startswith(outside)
    )


def lock_entry(ref: FileRef | None) -> dict[str, Any] | None:
    """A file or folder as dvc.lock has it; None for what is not known by an MD5."""
    # DVC compares files by their MD5, so an entry with another digest would always differ
    if ref is None or not _MD5.fullmatch(ref.digest):
        return None
    entry: dict[str, Any] = {"path": ref.path, "hash": "md5", "md5": ref.digest, "size": ref.bytes}
    return entry | ({"nfiles": ref.files} if ref.digest.endswith(".dir") else {})


def _as_listed(path: str, *, committed: bool) -> str | dict[str, Any]:
    # git has the file already; with a cache, DVC would refuse an out that git tracks
    return {literal(path): {"cache": False}} if committed else literal(path)


def literal(text: str) -> str:
    """Return the text escaped so that DVC substitutes nothing in it."""
    return text.replace("${", "\\${")


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def without_empty(stage: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have nothing to say."""
    return {key: value for key, value in stage.items() if value}


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
