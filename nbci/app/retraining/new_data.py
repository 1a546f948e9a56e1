"""Take new data before a retraining, as versions that are on the DVC remote before anything runs.

The user's branch and files stay as they are: what is new is in the decision, as `.dvc` files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.retraining.append_rows import Layout, append_rows, spread, table_columns
from nbci.app.retraining.model_in_use import known_decisions, wanted_data
from nbci.app.retraining.note_events import new_event, note_event
from nbci.data.dvc_imports import poll
from nbci.data.remotes import default_remote
from nbci.data.repository import project_cache
from nbci.data.sharing import Sharing
from nbci.data.tracked import SUFFIX, tracked
from nbci.engine.imports import put_back
from nbci.engine.steps.declared_files import stands
from nbci.errors import InfrastructureError, IntegrityError, Location, NbciError, UsageError
from nbci.formatting.durations import moment, parse_duration, utc_text
from nbci.formatting.numbers import counted
from nbci.promotion.model_objects import push_objects
from nbci.promotion.scratch_folder import scratch_folder
from nbci.records.decision import NewData
from nbci.retraining.limits import Answer
from nbci.runs.project_runs import ignore_own_files
from nbci.store.file_index import FileIndex, project_index
from nbci.store.files import write_atomic
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.app.retraining.append_rows import Appended, Row
    from nbci.app.retraining.decide import Decided
    from nbci.app.retraining.model_in_use import ModelInUse
    from nbci.config import Project
    from nbci.data.remotes import Remote
    from nbci.git.process import Git
    from nbci.logged.window import LogWindow
    from nbci.records.run_record import FileRef
    from nbci.store.artifacts import Artifacts


class NothingNew(InfrastructureError):
    """There are no new data to learn from; later there may be."""


class _Base(Struct, frozen=True, kw_only=True):
    """The version that new rows are added to: its `.dvc` file, and `note`, which version it is."""

    text: str
    ref: FileRef
    note: str = ""


def with_new_data(decided: Decided) -> Decided:
    """The same with the data that it learns from, which are part of the decision from now on.

    Where there are none yet, it does not start, and its decision says why.
    """
    model, decision = decided.model, decided.decision
    if decision is None:
        return decided
    try:
        data = take_new_data(model, decided.parameters)
    except NbciError as error:
        # Each counts as a try: labels that never come are told to a person in the end.
        note_event(model.git, decision, new_event(model.git, "failed", str(error)))
        if isinstance(error, NothingNew):
            return replace(decided, answer=Answer(start=False, sentence=str(error)))
        raise
    if data is None:
        return decided
    event = new_event(model.git, "decided", data.sentence)
    return replace(decided, decision=note_event(model.git, decision, event, data=data))


def take_new_data(model: ModelInUse, pairs: Sequence[str] = ()) -> NewData | None:
    """What `retrain: {data: ...}` of the pipeline asks for; None where it asks for nothing.

    `pairs` are parameters as `-p` has them. NothingNew where there is nothing yet.
    """
    wanted = wanted_data(model, pairs, os.environ)
    if wanted is None:
        return None
    # A fresh clone has no run yet that told git to leave nbci's own files out.
    ignore_own_files(model.project)
    if "update" in wanted:
        return _update(model, wanted["update"])
    return _append(model, wanted)


def _update(model: ModelInUse, paths: Sequence[str]) -> NewData:
    """Bring imports up to date as `dvc update` does, and put the user's files back."""
    project = model.project
    names = [_dvc_file(path) for path in paths]
    refuse_changed(project, model.git, model.name, names)
    with put_back(project, names):
        # Against the commit: the branch may have an older version than the release.
        polled = poll(project, paths, {})
        texts = dict(polled.texts)
        files: dict[str, str] = {}
        for name in texts:
            files |= {ref.path: ref.digest for ref in tracked(project.root, name)}
    # The release may have learnt from all of it, whatever the branch has.
    released = model.commit
    if all(_same(texts[name], _at_commit(model.git, released, name)) for name in texts):
        raise NothingNew(f"{', '.join(paths)} has not changed where it came from")
    return NewData(
        imports=texts,
        files=files,
        source="dvc update",
        sentence=f"dvc update of {', '.join(files)}",
    )


def _same(text: str, other: str | None) -> bool:
    # Git's answer has lost its last line break, and has got one again.
    return other is not None and text.rstrip("\n") == other.rstrip("\n")


def _append(model: ModelInUse, wanted: Mapping[str, Any]) -> NewData:
    """Append the labelled rows of the request log to the table, as a new version of it."""
    project, name = model.project, _dvc_file(wanted["table"])
    layout = Layout(path=wanted["table"], id=wanted.get("id", "id"), origin=wanted.get("origin"))
    base = _base_of(model, name)
    remote = default_remote(project)
    artifacts = _with_remote(project, remote)
    with scratch_folder(project) as scratch:
        old, new = scratch / "old", scratch / "new"
        _bring(project, base.ref, artifacts, old)
        window, rows = _labelled_rows(model, wanted, table_columns(layout, old))
        appended = append_rows(layout, old, new, rows)
        if not appended.added:
            raise NothingNew(
                f"no labelled row of {wanted['log']} is new: {counted(window.rows, 'row')}, "
                f"{appended.known} of them are in {wanted['table']} already",
                hint="nbci labels add FILE --log FOLDER adds labels",
            )
        ref = artifacts.keep(scratch, "new", FileIndex(scratch / ".digests"))
        # Before the decision names it: who reads that finds the data, too.
        push_objects(remote, artifacts, [ref])
    return NewData(
        imports={name: _with_digest(base.text, ref.digest, ref.bytes)},
        files={wanted["table"]: ref.digest},
        before=appended.before,
        added=appended.added,
        source=wanted["log"],
        sentence=_sentence(wanted, window, appended, base, ref.digest),
    )


def _sentence(
    wanted: Mapping[str, Any], window: LogWindow, appended: Appended, base: _Base, digest: str
) -> str:
    text = (
        f"{counted(appended.added, 'labelled row')} of {wanted['log']} added to the "
        f"{appended.before} of {wanted['table']}"
    )
    if window.first is not None and window.last is not None:
        first, last = moment(utc_text(window.first)), moment(utc_text(window.last))
        text += f", from {first} to {last}"
    text += f" (MD5 {base.ref.digest[:10]} → {digest[:10]})"
    return f"{text}; {base.note}" if base.note else text


def _labelled_rows(
    model: ModelInUse, wanted: Mapping[str, Any], columns: Sequence[str]
) -> tuple[LogWindow, Iterator[Row]]:
    """The window, and those of its rows that have a label, as rows of the table."""
    # Imported only here: they bring numpy and pyarrow.
    from nbci.logged.labels import join_labels, read_labels
    from nbci.logged.window import read_window

    folder = model.project.root / wanted["log"]
    name = model.name.rpartition(":")[2]
    newest = parse_duration(wanted["window"]) if "window" in wanted else None
    window = read_window(folder, name, newest=newest)
    labels = read_labels(model.project.root / wanted.get("labels", wanted["log"]), name)
    own = {wanted.get("id", "id"), wanted["label"], wanted.get("origin")}
    mapping = _mapping(wanted, [column for column in columns if column not in own], window)

    def rows() -> Iterator[Row]:
        if not window.rows:
            return
        for batch in join_labels(window, labels, ("request", "row", *mapping)):
            for row in batch.to_pylist():
                if row["label"] is not None:
                    # A request may have several rows, and an id alone is not one of theirs.
                    named = {wanted.get("id", "id"): f"{row['request']}.{row['row']}"}
                    yield {**spread(row, mapping), **named, wanted["label"]: row["label"]}

    return window, rows()


def _mapping(
    wanted: Mapping[str, Any], needed: Sequence[str], window: LogWindow
) -> dict[str, str | Sequence[str]]:
    """The table's columns by the log's; UsageError for those that the log does not have."""
    given: dict[str, str | Sequence[str]] = dict(wanted.get("columns", {}))
    filled: set[str] = set()
    for target in given.values():
        filled.update([target] if isinstance(target, str) else target)
    given |= {column: column for column in needed if column not in filled}
    missing = [name for name in given if window.rows and name not in window.types]
    if missing:
        raise UsageError(
            f"the log has no column for {', '.join(missing)}",
            where=Location(wanted["log"]),
            hint=f"`columns` of `retrain: {{data: ...}}` maps its own: {', '.join(window.types)}",
        )
    return given


def _dvc_file(path: str) -> str:
    return path if path.endswith(SUFFIX) else f"{path.rstrip('/')}{SUFFIX}"


def _base_of(model: ModelInUse, name: str) -> _Base:
    """The version to go on from: the release's, unless the branch has another one since."""
    git = model.git
    here = _at_commit(git, "HEAD", name)
    if here is None:
        raise UsageError(
            "the commit has no such file",
            where=Location(name),
            hint=f"dvc add {name.removesuffix(SUFFIX)}, and commit it",
        )
    released = _at_commit(git, model.commit, name)
    built = _at_commit(git, model.manifest.commit, name)
    text, note = here, ""
    if released is not None and released != here:
        # A shallow clone may lack the commit that was built.
        if built in (here, None):
            text = released
        else:
            note = f"the branch has a version of its own since {model.version}, and that counts"
    return _Base(text=text, ref=_parsed(model.project, name, text), note=note)


def _at_commit(git: Git, commit: str, name: str) -> str | None:
    """The text of a file of the project in that commit; None where it has none."""
    text = git.get("cat-file", "blob", operands=[f"{commit}:{git.prefix}{name}"])
    return None if text is None else f"{text}\n"


def _parsed(project: Project, name: str, text: str) -> FileRef:
    """What a `.dvc` file of any commit tracks; UsageError for one that an import wrote."""
    with scratch_folder(project) as scratch:
        # At the same path: what it tracks is named relative to its own folder.
        place = place_inside(scratch, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, text)
        refs = tracked(scratch, name)
    if len(refs) != 1 or "\ndeps:" in f"\n{text}":
        raise UsageError(
            "rows can be added to a file that `dvc add` tracks",
            where=Location(name),
            hint="an import is brought up to date by `update`",
        )
    return refs[0]


def _with_remote(project: Project, remote: Remote) -> Artifacts:
    """The kept artifacts of the project; what is not here is taken from the remote, and checked."""
    cache = project_cache(project, os.environ)
    return replace(cache.artifacts, elsewhere=Sharing(cache, (remote,), None))


def _bring(project: Project, ref: FileRef, artifacts: Artifacts, place: Path) -> None:
    """Put that version of the table there, from the checkout, the cache or the remote."""
    index = project_index(project)
    if stands(project.root, ref, index):
        artifacts.keep(project.root, ref.path, index)
    if artifacts.missing_objects(ref.digest):
        raise IntegrityError(
            f"neither DVC's cache nor its remote has {ref.digest}",
            where=Location(ref.path),
            hint="dvc push where it was added",
        )
    folder = place.parent
    artifacts.restore(folder, replace(ref, path=place.name), FileIndex(folder / ".digests"))


def _with_digest(text: str, digest: str, size: int) -> str:
    """The `.dvc` file with another version of its data, and all else as it is."""
    import yaml

    document = yaml.safe_load(text)
    document["outs"][0] |= {"md5": digest, "size": size}
    # The digest of the document itself, which old versions of DVC wrote, holds no more.
    document.pop("md5", None)
    return yaml.safe_dump(document, sort_keys=False)


def refuse_changed(project: Project, git: Git, model: str, names: Iterable[str]) -> None:
    """UsageError for data that a person has changed and not committed.

    A `.dvc` file of a retraining that was killed is put back.
    """
    _, decisions = known_decisions(git, model)
    index = project_index(project)
    for name in names:
        place = project.root / name
        text = _at_commit(git, "HEAD", name)
        if text is None or not place.is_file():
            continue
        found = place.read_text(encoding="utf-8")
        left = {(each.data.imports.get(name) if each.data else None) for each in decisions}
        is_ours = found in left
        if not _same(found, text) and not is_ours:
            raise UsageError(
                "it is not as the commit has it", where=Location(name), hint="commit it, or undo it"
            )
        for ref in tracked(project.root, name):
            if (project.root / ref.path).exists() and not stands(project.root, ref, index):
                raise UsageError(
                    f"{ref.path} is not what this file says: somebody has changed it",
                    where=Location(name),
                    hint=f"dvc add {ref.path}, or dvc checkout {ref.path}",
                )
        if is_ours and not _same(found, text):
            write_atomic(place, text)
