"""A run as DVC writes pipelines: the stages of `dvc.yaml`, and what they were made of and made, as in `dvc.lock`.

Values in, values out: `nbci.data` reads and writes elsewhere. The form is that of DVC's own schema 2.0.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.model import FileRef, ParameterValue, RunRecord

LOCK_SCHEMA = "2.0"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_NOT_IN_STAGE_NAMES = re.compile(r"[^\w-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DvcStages:
    """`stages` as in dvc.yaml and `locked` as in dvc.lock, by stage name; paths are relative to the project's root."""

    stages: Mapping[str, Mapping[str, Any]]
    locked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def dvc_stages(
    plan: Plan,
    record: RunRecord,
    *,
    files: Mapping[str, FileRef],
    taken: Iterable[str] = (),
    params: str = "",
) -> DvcStages:
    """The steps that have a result as stages of DVC.

    `files` are facts on files that no step declares, the notebooks above all, with MD5 digests; it also stands in for
    what the record says of a file. `taken` are names that stages of others have, `params` is added to each command.
    """
    names = stage_names([step.name for step in plan.steps], taken)
    stages: dict[str, dict[str, Any]] = {}
    locked: dict[str, dict[str, Any]] = {}
    for planned in plan.steps:
        step = record.step(planned.name)
        if step is None or step.result not in ("passed", "reused"):
            continue
        name = names[planned.name]
        known = {ref.path: ref for ref in (*step.deps, *step.outs)} | dict(files)
        deps = dict.fromkeys([*([planned.notebook] if planned.notebook in files else []), *planned.deps])
        outs = [path for path in dict.fromkeys(planned.outs) if path not in planned.metrics]
        command = stage_command(plan, planned, params)
        stages[name] = _without_empty(
            {"cmd": command, "deps": list(deps), "outs": outs, "metrics": list(dict.fromkeys(planned.metrics))}
        )
        locked[name] = _without_empty(
            {
                "cmd": command,
                "deps": [entry for path in sorted(deps) if (entry := lock_entry(known.get(path)))],
                "outs": [entry for path in sorted({*outs, *planned.metrics}) if (entry := lock_entry(known.get(path)))],
            }
        )
    return DvcStages(stages=stages, locked=locked)


def stage_names(steps: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name that DVC allows for each step: `train/svm` is `train-svm`; with a number where that is taken.

    >>> stage_names(["train/svm", "train-svm"])
    {'train/svm': 'train-svm', 'train-svm': 'train-svm-2'}
    """
    used = set(taken)
    names = {}
    for step in steps:
        plain = _NOT_IN_STAGE_NAMES.sub("-", step)
        numbered = (f"{plain}-{number}" for number in range(2, len(used) + 3))
        names[step] = plain if plain not in used else next(name for name in numbered if name not in used)
        used.add(names[step])
    return names


def stage_command(plan: Plan, step: PlannedStep, params: str = "") -> str:
    """The command line that runs just this step."""
    return " ".join(
        ["nbci run", shlex.quote(plan.target), "--only", shlex.quote(step.name), *([params] if params else [])]
    )


def given_params(params: Iterable[ParameterValue]) -> str:
    """Options that give again what was given from outside of the project's files."""
    outside = ("-p", "-f ", "environment ")
    return " ".join(
        f"-p {shlex.quote(f'{param.name}={_written(param.value)}')}"
        for param in params
        if param.source.startswith(outside)
    )


def lock_entry(ref: FileRef | None) -> dict[str, Any] | None:
    """A file or folder as dvc.lock has it; None for what is not known by an MD5."""
    if ref is None or not _MD5.fullmatch(ref.digest):
        return None
    entry: dict[str, Any] = {"path": ref.path, "hash": "md5", "md5": ref.digest, "size": ref.bytes}
    return entry | ({"nfiles": ref.files} if ref.digest.endswith(".dir") else {})


def merged_documents(
    stages: DvcStages,
    *,
    own: Mapping[str, Any] | None,
    own_lock: Mapping[str, Any] | None,
    artifacts: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(dvc.yaml, dvc.lock) with what the user's own hold besides; stages and artifacts of a same name are replaced."""
    document = dict(own or {})
    document["stages"] = {**(document.get("stages") or {}), **stages.stages}
    if artifacts or document.get("artifacts"):
        document["artifacts"] = {**(document.get("artifacts") or {}), **artifacts}
    lock = dict(own_lock or {})
    lock["schema"] = LOCK_SCHEMA
    lock["stages"] = {**(lock.get("stages") or {}), **stages.locked}
    return document, lock


def own_stages(own: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The stages of a dvc.yaml that nbci did not write itself."""
    stages = (own or {}).get("stages") or {}
    return {
        name: stage
        for name, stage in stages.items()
        if isinstance(stage, dict) and not str(stage.get("cmd", "")).startswith("nbci run ")
    }


def outs_of(stage: Mapping[str, Any]) -> list[str]:
    """The paths that a stage of a dvc.yaml makes, relative to the file; those with `${...}` in them are not known."""
    listed = [item for key in ("outs", "metrics", "plots") for item in stage.get(key) or ()]
    paths = [next(iter(item)) if isinstance(item, dict) else str(item) for item in listed]
    folder = str(stage.get("wdir") or ".").strip("/")
    return [path if folder == "." else f"{folder}/{path}" for path in paths if "${" not in path]


def without_outs(stages: DvcStages, paths: set[str]) -> DvcStages:
    """The stages without these outs, which others make."""

    def rest(key: str, listed: Any) -> Any:
        if key not in ("outs", "metrics"):
            return listed
        return [item for item in listed if (item["path"] if isinstance(item, dict) else item) not in paths]

    def cut(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        return {
            name: _without_empty({key: rest(key, value) for key, value in stage.items()})
            for name, stage in found.items()
        }

    return DvcStages(stages=cut(stages.stages), locked=cut(stages.locked))


def _without_empty(stage: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in stage.items() if value}


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
