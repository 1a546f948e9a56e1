"""Collect a report's material: the run, the run to compare with, earlier runs, releases.

Only the run itself must be there. Whatever else is gone or damaged is left out, and the page says
so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.behaviour.of_runs import compare_behaviours
from nbci.formatting.numbers import listed
from nbci.plan.compare import Compared, difference
from nbci.report.data.comparable import BROKEN, Comparable, choose, choose_named_run
from nbci.report.data.material import Baseline, Material, PastRun, Release, ShownRun
from nbci.report.data.release_baseline import changed_code
from nbci.report.data.stored_results import ResultStore, StoredFiles, StoredNotebooks
from nbci.runs.blames import read_blames
from nbci.runs.folder import RunFolder
from nbci.runs.proofs import read_proofs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.config import Project
    from nbci.plan.compare import MetricChange, RunDifference
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.report.data.material import Notebooks

PAST_RUNS = 20
_NAMED = 5
REPORT_URL = "NBCI_REPORT_URL"


def gather(
    project: Project,
    record: RunRecord,
    plan: Plan,
    notebooks: Notebooks,
    *,
    environ: Mapping[str, str],
    against: RunFolder | None = None,
) -> Material:
    """Return the material of a run's report.

    `notebooks` are its executed ones, `against` is the run to compare with.
    """
    problems = list(_lost_notebooks(record, notebooks))
    store = result_store(project, environ, problems)
    files = StoredFiles(store, record.outs)
    run = ShownRun(
        record=record, plan=plan, notebooks=notebooks, read_file=files, list_files=files.within
    )
    choice = choose_named_run(against) if against else choose(project, record, plan, environ)
    problems += choice.problems

    folder = RunFolder(project.runs_folder / record.run)
    no_baseline = None
    baseline = _baseline(project, run, store, choice.found, problems)
    if baseline is None:
        no_baseline = f"no earlier run of {record.pipeline} that passed is here"
    return Material(
        run=run,
        baseline=baseline,
        no_baseline=no_baseline,
        behaviours=_behaviours(run, store, choice.found),
        history=_history(project, record, problems),
        releases=_releases(project, run, problems),
        proofs=read_proofs(folder),
        blames=read_blames(folder),
        # Two searches may meet the same damaged file: the page says so once.
        problems=tuple(dict.fromkeys(problems)),
        is_comparison=against is not None,
        url=environ.get(REPORT_URL),
    )


def _behaviours(
    run: ShownRun, store: ResultStore, found: Comparable | None
) -> tuple[StepBehaviour, ...]:
    if found is None:
        return ()
    now = Compared(record=run.record, plan=run.plan)
    again = store.measured_again(run.record, found.identity)
    return compare_behaviours(store.files_of(found.run), store.files_of(now), again)


def _lost_notebooks(record: RunRecord, notebooks: Notebooks) -> Iterator[str]:
    lost: list[str] = []
    for step in record.steps:
        if _wrote_notebook(step) and step.name not in notebooks:
            lost.append(step.name)
    if lost:
        yield f"the executed notebook is gone or damaged: {listed(lost, _NAMED)}"


def _wrote_notebook(step: StepRecord) -> bool:
    # The notebook of a reused step is in the folder of the run that executed it.
    if step.result not in ("passed", "failed") or not step.attempts:
        return False
    return bool(step.attempts[-1].notebook)


def result_store(project: Project, environ: Mapping[str, str], problems: list[str]) -> ResultStore:
    """Where the results of the project's runs lie; a cache that cannot be used is a problem."""
    from nbci.data.repository import project_cache
    from nbci.store.file_index import project_index

    try:
        cache = project_cache(project, environ)
    except BROKEN as error:
        problems.append(f"the cache cannot be used: {error}")
        cache = None
    return ResultStore(root=project.root, cache=cache, index=project_index(project))


def _baseline(
    project: Project,
    run: ShownRun,
    store: ResultStore,
    found: Comparable | None,
    problems: list[str],
) -> Baseline | None:
    if found is None:
        return None
    record = found.run.record
    files = StoredFiles(store, record.outs)
    # A release whose run is gone has no executed notebooks to show.
    notebooks: Notebooks = {}
    if found.folder is not None:
        notebooks = StoredNotebooks(store, found.folder, record)
    shown = ShownRun(
        record=record,
        plan=found.run.plan,
        notebooks=notebooks,
        read_file=files,
        list_files=files.within,
    )
    return Baseline(
        title=found.title, run=shown, difference=_difference(project, run, found, store, problems)
    )


def _difference(
    project: Project, run: ShownRun, found: Comparable, store: ResultStore, problems: list[str]
) -> RunDifference:
    differing = difference(found.run, Compared(record=run.record, plan=run.plan), store.listing)
    metrics = _measured_again(differing.metrics, run.record, found.identity)
    differing = replace(differing, metrics=tuple(metrics))
    if found.manifest is None:
        return differing
    try:
        code = changed_code(project.root, found.release, found.manifest, run.record, run.plan)
    except BROKEN as error:
        version = f"{found.manifest.model}@{found.manifest.version}"
        problems.append(f"what code changed since {version} is not known: {error}")
        code = ()
    # A release does not tell which modules were used: each would look like a new one.
    return replace(differing, code=code, used=())


def _measured_again(
    changes: Iterable[MetricChange], record: RunRecord, identity: str | None
) -> Iterator[MetricChange]:
    """The changes from what the baseline's model gave on the data of the run, where it did."""
    values: dict[str, float] = {}
    for again in record.remeasured:
        if again.identity == identity:
            values.update(again.metrics or {})
    for change in changes:
        if change.before is None or change.name not in values:
            yield change
        else:
            yield replace(change, before=values[change.name], recorded=change.before)


def _history(project: Project, record: RunRecord, problems: list[str]) -> tuple[PastRun, ...]:
    from nbci.runs.index import find_runs

    where = f"pipeline == {record.pipeline!r} and run < {record.run!r}"
    try:
        rows = find_runs(project, where=where, limit=PAST_RUNS)
    except BROKEN as error:
        problems.append(f"the earlier runs are not known: {error}")
        return ()
    # The index answers with the newest first, for the limit; a chart of metrics goes by time.
    return tuple(
        PastRun(run=row.run, started_utc=row.started_utc, result=row.result, metrics=row.metrics)
        for row in reversed(rows)
    )


def _releases(project: Project, run: ShownRun, problems: list[str]) -> tuple[Release, ...]:
    """The releases that were made of the run."""
    if not run.plan.models or run.record.result != "passed":
        return ()
    from nbci.git.process import Git
    from nbci.records.manifest import CARD_PATH
    from nbci.registry.read import read_models

    git = Git(project.root)
    found: list[Release] = []
    try:
        # A project need not be a repository: that it has no releases is no problem to report.
        if git.get("rev-parse", "--git-dir") is None:
            return ()
        for model in read_models(git):
            stages = {stage.current.commit: name for name, stage in model.stages.items()}
            for version in model.versions:
                # A version whose registration was withdrawn is no release any more.
                if not version.active:
                    continue
                if version.registered.notes.get("Nbci-Run") != run.record.run:
                    continue
                card_blob = f"{version.commit}:{git.prefix}{CARD_PATH}"
                release = Release(
                    model=model.model,
                    version=version.version,
                    stage=stages.get(version.commit),
                    card=git.get("cat-file", "blob", operands=[card_blob]),
                )
                found.append(release)
    except BROKEN as error:
        problems.append(f"the releases cannot be read: {error}")
    return tuple(found)
