"""A run with nothing to do: seen by the state of files alone, and recorded in a few milliseconds.

It must stay within 60 ms for 1,000 steps, most of which is Python's own start. So nothing is
imported here at the top that imports msgspec, dataclasses, YAML or Jupyter.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nbci.audit_draw import Draw
from nbci.dot_nbci import RUNS_FOLDER, STATE_FOLDER
from nbci.engine.caching.last_run import recall, remember, state_path
from nbci.formatting.durations import utc_text
from nbci.git.branches import built_branch
from nbci.git.checkout import read_checkout
from nbci.runs.file_names import PLAN_FILE, RUN_FILE
from nbci.runs.run_file import new_run_id, write_reusing_run
from nbci.runs.signature import KEY
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbci.app.request import RunRequest
    from nbci.engine.context import RunContext
    from nbci.gates.judging import Judging
    from nbci.records.run_record import Part, RunRecord, StepRecord

_REMOTE_SECONDS = 10


class UnchangedRun(NamedTuple):
    """A run that had nothing to do.

    `folder` holds its record, or would: `problem` is why the record could not be written. `source`
    is the folder of the run whose results stand, `summary` what that run left to be shown.
    """

    folder: Path
    problem: str | None
    source: Path
    summary: Mapping[str, Any]
    seconds: float

    @property
    def exit_code(self) -> int:
        """The exit code of the run whose results stand."""
        return int(self.summary["exit_code"])


def reuse_last_run(request: RunRequest) -> UnchangedRun | None:
    """Record a run that reuses everything; None when there may be something to do."""
    started = time.time()
    if not _may_reuse_all(request):
        return None
    root = _project_root(request)
    summary = recall(_state_path(root, request)) if root is not None else None
    if root is None or summary is None:
        return None
    source = root / RUNS_FOLDER / summary["run"]
    if not (source / RUN_FILE).exists() or not _is_remote_as_seen(root, summary):
        return None
    run = request.run or new_run_id(started)
    if _audits_any(run, summary):
        return None

    folder = source.parent / run
    problem = _record(folder, source, summary, started)
    return UnchangedRun(folder, problem, source, summary, time.time() - started)


def _may_reuse_all(request: RunRequest) -> bool:
    """Whether a run of this kind can be recognised as unchanged without a plan."""
    names_steps = bool(request.force_steps or request.first or request.only)
    if request.force or names_steps or request.for_dvc or request.resume or request.audit:
        return False
    # a report is handed over: that needs the record of each step
    if request.build_files is not None or not request.is_of_project:
        return False
    # each record of a signed project is signed, by a process that takes longer than all the rest
    is_signed = bool(os.environ.get(KEY))
    # the rules of a fork's build are another branch's, wherever that is by now
    return not is_signed and change_of(os.environ) is None


def _project_root(request: RunRequest) -> Path | None:
    """The folder around the target with remembered runs, found without reading configuration."""
    assert request.target is not None
    for folder in Path(request.target).resolve().parents:
        if (folder / STATE_FOLDER).is_dir():
            return folder
    return None


def _audits_any(run: str, summary: Mapping[str, Any]) -> bool:
    """Whether the project has steps audited, and one of them is drawn for this run."""
    share = summary.get("audit")
    return share is not None and any(map(Draw(run, share).takes, summary["keys"]))


def _is_remote_as_seen(root: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the remote's tags that the verdict depends on are still the same."""
    seen = summary["remote"]
    return seen is None or seen == _remote_tags(root, seen[0])


def remember_run(
    request: RunRequest,
    context: RunContext,
    record: RunRecord,
    judging: Judging,
    summary_of: Callable[[RunRecord], Mapping[str, Any]],
) -> None:
    """Keep, after a run that passed, what the next must look at to see that nothing has changed."""
    from nbci.engine.observed.until_end import is_as_used

    files_of_baselines = judging.files
    # Runs with other seeds may have used files of their own, which nothing here looks at.
    if files_of_baselines is None or record.seeds is not None or not _can_stand(record):
        return
    root = context.project.root
    remote = _remote_tags(root, list(judging.remote_tags)) if judging.remote_tags else None
    if judging.remote_tags and (remote is None or not _is_here(root, remote[1])):
        return
    summary = _summary(request, context, record, remote, summary_of(record))

    # taken before the comparison: what is written after this moment is seen by the next run
    as_of_ns = time.time_ns()
    if not is_as_used(context, record, request.files):
        return
    files = [
        *_files(context, record),
        *files_of_baselines,
        *(str(Path(name).resolve()) for name in request.files),
    ]
    folder = context.folder.path
    observed = _observed_parts(record)
    with contextlib.suppress(OSError):  # it only spares the next run some time
        remember(
            _state_path(root, request),
            files,
            [str(folder / RUN_FILE), str(folder / PLAN_FILE)],
            summary,
            as_of_ns=as_of_ns,
            variables={part.label for part in observed if part.kind == "variable"},
            umask=any(part.kind == "umask" for part in observed),
        )


def _can_stand(record: RunRecord) -> bool:
    """Whether a later run may take all results of this one."""
    return record.result == "passed" and all(map(_is_kept, record.steps))


def _is_kept(step: StepRecord) -> bool:
    """Whether the step's result is in the cache, or the plan leaves the step out."""
    return step.result == "skipped" or (step.key is not None and step.run is not None)


def _summary(
    request: RunRequest,
    context: RunContext,
    record: RunRecord,
    remote: list[Any] | None,
    shown: Mapping[str, Any],
) -> dict[str, Any]:
    """What a run with nothing to do shows and records, `shown` as text that is ready to print."""
    from nbci.app.exit_codes import exit_code

    # the file, not the record: a run with nothing to do copies JSON, and decodes no record
    header = json.loads((context.folder.path / RUN_FILE).read_bytes())
    skipped = sum(step.result == "skipped" for step in record.steps)
    made = context.plan.writes
    return {
        "run": record.run,
        "header": {**header, "same_as": record.run},
        "steps": len(record.steps) - skipped,
        "skipped": skipped,
        **shown,
        "outcome": record.outcome,
        "exit_code": exit_code(record, gates=request.gates_count),
        "remote": remote,
        "made": made,
        **_to_draw_from(context, record),
    }


def _to_draw_from(context: RunContext, record: RunRecord) -> dict[str, Any]:
    """What tells which steps a run with nothing to do audits; nothing where none is."""
    share = context.project.audit
    if share is None:
        return {}
    return {"audit": share, "keys": [step.key for step in record.steps if step.key is not None]}


def _state_path(root: Path, request: RunRequest) -> Path:
    """The file that remembers the last run of the same command."""
    assert request.target is not None
    command = (
        str(Path(request.target).resolve()),
        request.pairs,
        request.files,
        request.kernel,
        request.seeds,
        request.first,
        request.until,
        request.only,
        request.no_gate,
        sys.executable,
    )
    return state_path(root / STATE_FOLDER, command, os.environ)


def _remote_tags(root: Path, patterns: list[str]) -> list[Any] | None:
    """The remote's tags of those patterns, for verdicts; None without an answer."""
    import subprocess

    from nbci.commands import git_command

    # `git.process` would do, but imports what a run with nothing to do has no time for
    command = git_command(root, ["ls-remote"], ["origin", *patterns])
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environ,
            check=False,
            timeout=_REMOTE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return [patterns, sorted(done.stdout.splitlines())]


def _is_here(root: Path, tags: list[str]) -> bool:
    """Whether the repository has these tags as the remote has them.

    If not, a tag came after the run was judged, and the verdict may be another one now.
    """
    from nbci.git.process import Git

    here = set((Git(root).get("show-ref", "-d") or "").splitlines())
    return all(line.replace("\t", " ") in here for line in tags)


def _files(context: RunContext, record: RunRecord) -> Iterator[str]:
    """Everything that the results depend on, and the results themselves."""
    from nbci.engine.observed.kinds import files_of
    from nbci.engine.observed.states import Surroundings

    root = context.project.root
    yield str(root / "pyproject.toml")
    for source in record.sources or {}:
        yield str(root / source)
    yield os.path.realpath(sys.executable)  # what a step's own environment is made with
    # where a result has been found to be wrong since, perhaps by a run of something else
    yield str(context.cache.distrusted.folder)

    parts = tuple(_observed_parts(record))
    yield from files_of(
        Surroundings(root=root, index=context.index, environ=context.environ, parts=parts)
    )
    for step in record.steps:
        for value in step.gives:
            yield context.cache.value_file(value.object)
        for file in (*step.deps, *step.outs):
            place = root / file.path
            yield str(place)
            if place.is_dir():
                yield from map(str, place.rglob("*"))


def _observed_parts(record: RunRecord) -> list[Part]:
    """What all steps of the run were seen to use."""
    parts: list[Part] = []
    for step in record.steps:
        parts += step.observed
    # A baseline's model may have used files that the run's own does not.
    for again in record.remeasured:
        parts += again.observed
    return parts


def _record(folder: Path, source: Path, summary: Mapping[str, Any], started: float) -> str | None:
    """Write the record of a run that is all reuse; why it cannot be written, where it cannot.

    In a read-only project and on a full disk the results stand even so.
    """
    try:
        write_reusing_run(folder, _document(folder.name, source, summary, started))
    except OSError as error:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        return error.strerror or str(error)
    return None


def _document(run: str, source: Path, summary: Mapping[str, Any], started: float) -> dict[str, Any]:
    """The record as JSON: that of the run whose results stand, with what is this run's own."""
    header = summary["header"]
    sources = tuple(header.get("sources") or {})
    checkout = read_checkout(source.parents[2], sources, summary["made"])
    git: dict[str, Any] | None = None
    if checkout is not None:
        branch = built_branch(checkout.branch, os.environ)
        git = {**checkout._asdict(), "branch": branch}
    stamp = utc_text(started)
    return {
        **header,
        "git": git,
        "run": run,
        "started_utc": stamp,
        "ended_utc": stamp,
        "seconds": round(time.time() - started, 3),
    }
