"""Make the files that a release commit adds: dvc.yaml, dvc.lock and the manifest.

dvc.yaml and dvc.lock keep the stages that the user wrote.
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING, Any

from nbci.data.dvc_files import dvc_stages, given_params
from nbci.data.dvc_merge import merged_documents, own_stages, owned_outs, without_outs
from nbci.errors import Location, UsageError
from nbci.git.process import GitFailed
from nbci.records.codec import to_json
from nbci.records.manifest import MANIFEST_PATH
from nbci.records.run_record import FileRef

if TYPE_CHECKING:
    from nbci.git.process import Git
    from nbci.pipeline.models import Model
    from nbci.plan.model import Plan
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import RunRecord


def release_documents(
    git: Git, plan: Plan, record: RunRecord, *, spec: Model, manifest: Manifest
) -> dict[str, str]:
    """The text of each file, by its path from the repository's root."""
    from dvc.utils.serialize import dumps_yaml

    commit, prefix = manifest.commit, git.prefix
    # as the commit has them: what lies uncommitted in the workspace is not released
    own = _read_yaml(git, commit, f"{prefix}dvc.yaml")
    own_lock = _read_yaml(git, commit, f"{prefix}dvc.lock")
    made = record.outs
    others = own_stages(own, plan.target)
    stages = dvc_stages(
        plan,
        record,
        files=_notebooks(git, plan, commit),
        taken=others,
        params=given_params(record.params),
    )
    elsewhere = owned_outs(
        others, own_lock, made, lambda path: _read_yaml(git, commit, f"{prefix}{path}")
    )
    for path, owned in elsewhere.items():
        _refuse_other_content(path, owned.digest, made.get(path), manifest)
    document, lock = merged_documents(
        without_outs(stages, set(elsewhere)),
        target=plan.target,
        own=own,
        own_lock=own_lock,
        artifacts={spec.name: _artifact(spec, manifest)},
    )
    return {
        f"{prefix}dvc.yaml": dumps_yaml(document),
        f"{prefix}dvc.lock": dumps_yaml(lock),
        f"{prefix}{MANIFEST_PATH}": to_json(manifest),
    }


def tracked_file(ref: FileRef) -> str:
    """The `.dvc` file that tracks a single file beside it: git has this, the remote the content."""
    from dvc.utils.serialize import dumps_yaml

    name = posixpath.basename(ref.path)
    out = {"md5": ref.digest, "size": ref.bytes, "hash": "md5", "path": name}
    text: str = dumps_yaml({"outs": [out]})
    return text


def _read_yaml(git: Git, commit: str, path: str) -> dict[str, Any] | None:
    import yaml

    try:
        text = git.bytes("cat-file", "blob", operands=[f"{commit}:{path}"])
    except GitFailed:
        return None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f"this is no YAML: {str(error).splitlines()[0]}", where=Location(path)
        ) from error
    if not isinstance(document, dict):
        return None
    return document


def _notebooks(git: Git, plan: Plan, commit: str) -> dict[str, FileRef]:
    """Return the notebooks by path, as DVC records files, with the content that a checkout has."""
    found = {}
    for notebook in dict.fromkeys(step.notebook for step in plan.steps):
        try:
            # --filters: a checkout may convert line ends, and DVC digests files as they are checked
            # out
            text = git.bytes("cat-file", "--filters", operands=[f"{commit}:{git.prefix}{notebook}"])
        except GitFailed:
            continue
        digest = hashlib.md5(text, usedforsecurity=False).hexdigest()
        found[notebook] = FileRef(path=notebook, digest=digest, bytes=len(text))
    return found


def _refuse_other_content(
    path: str, digest: str | None, fact: FileRef | None, manifest: Manifest
) -> None:
    # only the files of the model matter: others are evidence of what the stages of the user made
    if fact is None or digest == fact.digest:
        return
    if not any(ref.path == path for ref in manifest.files):
        return
    raise UsageError(
        f"the commit has other content for {path}, "
        "in a .dvc file or in a stage of its own dvc.yaml",
        hint="let nbci make the file, and remove the other; or commit what the run made",
        where=Location(path),
    )


def _artifact(spec: Model, manifest: Manifest) -> dict[str, Any]:
    # the keys are DVC's: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#artifacts
    entry: dict[str, Any] = {"path": _artifact_path(spec), "type": "model"}
    labels = list(filter(None, (spec.framework, manifest.pipeline)))
    if labels:
        entry["labels"] = labels
    if spec.description:
        entry["desc"] = spec.description
    return entry


def _artifact_path(spec: Model) -> str:
    """Return the path of the model: its file or folder, or the folder of its several files."""
    if len(spec.paths) == 1:
        return spec.paths[0]
    return posixpath.commonpath(spec.paths) or spec.paths[0]
