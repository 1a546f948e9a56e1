"""`nbci run` when there is nothing to do: a record that names the run whose results stand, and a
few lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.engine.caching.last_run import recall, remember, state_path
from nbci.git.branches import built_branch
from nbci.git.checkout import read_checkout
from nbci.runs.seal import KEY
from nbci.trust.change import change_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.engine.context import RunContext
    from nbci.gates.judging import Judging
    from nbci.records.run_record import RunRecord, StepRecord

_REMOTE_SECONDS = 10
_OPTIONS = ("target", "param", "file", "kernel", "first", "until", "only", "no_gate")


def quick_run(arguments: argparse.Namespace) -> int | None:
    """Write the record of a run that reuses everything, and say so; None when there may be
    something to do.
    """
    if (
        arguments.force
        or arguments.force_step
        or arguments.first
        or arguments.only
        or arguments.json
    ):
        return None
    if os.environ.get(KEY):  # each record is signed, which takes longer
        return None
    if (
        change_of(os.environ) is not None
    ):  # whose rules are another branch's, wherever that is by now
        return None
    started = time.time()
    for root in Path(arguments.target).resolve().parents:
        if (root / ".nbci" / "state").is_dir():
            break
    else:
        return None
    summary = recall(_state_path(root, arguments))
    source = root / ".nbci" / "runs" / summary["run"] if summary is not None else None
    if summary is None or source is None or not (source / "run.json").exists():
        return None
    if summary["remote"] is not None and summary["remote"] != _remote(root, summary["remote"][0]):
        return None
    folder = _new_folder(source, started)
    is_written = _write_run(folder, source, summary, started)
    _say(arguments, folder if is_written else None, source, summary, time.time() - started)
    return int(summary["exit_code"])


def remember_run(
    arguments: argparse.Namespace, context: RunContext, record: RunRecord, judging: Judging
) -> None:
    """After a run that passed: keep what the next one must look at to see that nothing has changed."""
    if (
        record.result != "passed"
        or not all(_stands(step) for step in record.steps)
        or judging.files is None
    ):
        return
    from nbci.cli.live.gates import gates_word, verdict_lines
    from nbci.cli.live.summary import metric_lines
    from nbci.cli.verdict import exit_code
    from nbci.engine.observed.until_end import is_as_used

    remote = (
        _remote(context.project.root, list(judging.remote_tags)) if judging.remote_tags else None
    )
    if judging.remote_tags and (remote is None or not _is_here(context.project.root, remote[1])):
        return
    folder = context.folder.path
    summary = {
        "run": record.run,
        "header": {**json.loads((folder / "run.json").read_bytes()), "same_as": record.run},
        "steps": sum(1 for step in record.steps if step.result != "skipped"),
        "skipped": sum(1 for step in record.steps if step.result == "skipped"),
        "metrics": metric_lines(record.metrics),
        "verdict": verdict_lines(record.verdict),
        "gates": gates_word(record.verdict),
        "outcome": record.outcome,
        "exit_code": exit_code(record, gates=not arguments.no_gate),
        "remote": remote,
        "made": [path for step in context.plan.steps for path in (*step.outs, *step.metrics)],
    }
    as_of_ns = time.time_ns()
    if not is_as_used(context, record, arguments.file):
        return
    files = [
        *_files(context, record),
        *judging.files,
        *(str(Path(name).resolve()) for name in arguments.file),
    ]
    records = [
        str(folder / "run.json"),
        str(folder / "plan.json"),
    ]  # the record of the next run only names this one
    observed = [part for step in record.steps for part in step.observed]
    variables = {part.label for part in observed if part.kind == "variable"}
    umask = any(part.kind == "umask" for part in observed)
    state = _state_path(context.project.root, arguments)
    with contextlib.suppress(OSError):  # it only spares the next run some time
        remember(
            state, files, records, summary, as_of_ns=as_of_ns, variables=variables, umask=umask
        )


def _state_path(root: Path, arguments: argparse.Namespace) -> Path:
    command = [getattr(arguments, name) for name in _OPTIONS]
    command[0] = str(Path(arguments.target).resolve())
    return state_path(root / ".nbci" / "state", [*command, sys.executable], os.environ)


def _remote(root: Path, patterns: list[str]) -> list[Any] | None:
    """The remote's tags of those patterns: what a verdict depends on that no file here tells.

    None: no answer.
    """
    import subprocess

    from nbci.commands import git_command

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
    return [patterns, sorted(done.stdout.splitlines())] if done.returncode == 0 else None


def _is_here(root: Path, tags: list[str]) -> bool:
    """Whether the repository has these tags as the remote has them; otherwise one came after the
    run was judged.
    """
    from nbci.git.process import Git

    here = set((Git(root).get("show-ref", "-d") or "").splitlines())
    return all(line.replace("\t", " ") in here for line in tags)


def _stands(step: StepRecord) -> bool:
    """Whether the step's result may stand again: it was kept, or the plan leaves the step out."""
    return step.result == "skipped" or (step.key is not None and step.run is not None)


def _files(context: RunContext, record: RunRecord) -> Iterator[str]:
    """Everything that the results depend on, and the results themselves."""
    from nbci.engine.observed.kinds import Surroundings, files_of

    root = context.project.root
    yield from (str(root / name) for name in ("pyproject.toml", *(record.sources or {})))
    yield os.path.realpath(sys.executable)  # what a step's own environment is made with
    parts = tuple(part for step in record.steps for part in step.observed)
    yield from files_of(
        Surroundings(root=root, index=context.index, environ=context.environ, parts=parts)
    )
    for step in record.steps:
        yield from (context.cache.value_file(ref.object) for ref in step.gives)
        for ref in (*step.deps, *step.outs):
            place = root / ref.path
            yield str(place)
            if place.is_dir():
                yield from (str(file) for file in place.rglob("*"))


def _new_folder(source: Path, started: float) -> Path:
    """Where the run has its record; the same form of id as nbci.runs.folder gives, too heavy to
    import here.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(started))
    return source.parent / f"{stamp}-{int(started % 1 * 1000):03d}{os.urandom(2).hex()}"


def _write_run(folder: Path, source: Path, summary: dict[str, Any], started: float) -> bool:
    """Write the record of a run that is all reuse, which names the run whose results stand.

    False, with a warning, where it cannot be written (a read-only project, a full disk): the
    results stand even so.
    """
    text = json.dumps(_record(folder, source, summary, started)).encode()
    try:
        folder.mkdir()
        (folder / "seal.json").write_text(
            json.dumps({"run.json": hashlib.sha256(text).hexdigest()}), encoding="utf-8"
        )
        temporary = folder / ".run.json"
        temporary.write_bytes(text)
        temporary.replace(folder / "run.json")
    except OSError as error:
        import shutil

        from nbci.cli.arguments import warn

        shutil.rmtree(folder, ignore_errors=True)
        warn(f"this run leaves no record: {folder} cannot be written: {error.strerror}")
        return False
    return True


def _record(folder: Path, source: Path, summary: dict[str, Any], started: float) -> dict[str, Any]:
    stamp = (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started))
        + f".{int(started % 1 * 1000):03d}Z"
    )
    git = read_checkout(
        source.parents[2], tuple(summary["header"].get("sources") or {}), summary["made"]
    )
    state = git and {**git._asdict(), "branch": built_branch(git.branch, os.environ)}
    return {
        **summary["header"],
        "git": state,
        "run": folder.name,
        "started_utc": stamp,
        "ended_utc": stamp,
        "seconds": round(time.time() - started, 3),
    }


def _say(
    arguments: argparse.Namespace,
    run: Path | None,
    source: Path,
    summary: dict[str, Any],
    seconds: float,
) -> None:
    here = os.path.relpath(source.parent)
    shown = here if not here.startswith("..") else str(source.parent)
    counts = f"{summary['steps']} reused" + (
        f", {summary['skipped']} skipped" if summary["skipped"] else ""
    )
    word = "REFUSED" if summary.get("outcome") == "refused" else "passed"
    result = f"{summary['header']['pipeline']} {word} in {seconds * 1000:.0f} ms: {counts} from run {summary['run']}"
    result += summary["gates"]
    if arguments.quiet:
        print(result)
        return
    lines = [*summary["metrics"], "" if summary["metrics"] else "nothing has changed"]
    lines += [*summary["verdict"], ""] if summary["verdict"] else []
    print(*lines, result, sep="\n")
    if run is not None:
        print(f"  record: {shown}/{run.name}")
    print(f"  page:   {shown}/{summary['run']}/report/index.html")
