"""What happened: the record of a run and of each of its steps, which everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from nbci.handoff.values import ValueRef
from nbci.records.cause import Cause
from nbci.records.chosen import Chosen, Confirmed
from nbci.records.git_state import GitState
from nbci.records.output_check import OutputCheck
from nbci.records.seeds import SeedRuns
from nbci.records.step_audit import StepAudit
from nbci.records.verdict import Verdict

FORMAT = 1

StepResult = Literal["passed", "failed", "reused", "skipped", "running"]
RunResult = Literal["passed", "failed", "interrupted", "running"]
StepOutcome = Literal["passed", "failed", "interrupted", "reused", "skipped", "running"]
RunRole = Literal["proof", "remeasured", "audit", "hybrid", "seed", "trial"]
"""What a run is to the run that it belongs to."""
RunOutcome = Literal["passed", "refused", "failed", "interrupted", "running"]
FailureKind = Literal[
    "exception",  # a cell raised, a magic failed, a shell command ended with a non-zero status
    "exit",  # a cell ended its own kernel with exit()
    "kernel-died",  # killed, out of memory, segfault, os._exit
    "environment",  # the step's lock file gives no environment that it can run in
    "kernel-start",  # no kernel came up: infrastructure
    "timeout",  # of a cell, a step or the run
    "unsaveable",  # a value that a later step needs cannot be saved
    "join",  # two branches changed one value
    "missing",  # a declared output or metric did not appear
    "outputs",  # cells show other outputs than their notebook is committed with
    "interrupted",  # Ctrl-C, SIGTERM, the engine itself was killed
    "infrastructure",  # disk, store
    "integrity",  # something stored is not what it says it is, and cannot be made again
]


_ENDED_WELL: tuple[StepResult, ...] = ("passed", "reused")
_LETS_FOLLOWERS_RUN: tuple[StepResult, ...] = (*_ENDED_WELL, "skipped")


def lets_followers_run(result: StepResult) -> bool:
    """Whether the steps that come after one with this result may run.

    A skipped step holds nothing up: what needs its values was skipped with it in the plan.
    """
    return result in _LETS_FOLLOWERS_RUN


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why a step failed: which cell, what was raised, and what to do.

    `cell` is the cell's number in the source notebook and `line` the line in it, both from 1;
    `traceback` is plain text without ANSI codes, for `outputs` what differs; `log` is the end of
    what the kernel's process wrote outside any cell.
    """

    kind: FailureKind
    message: str
    hint: str | None = None
    cell: int | None = None
    first_line: str | None = None
    line: int | None = None
    error: str | None = None
    traceback: str | None = None
    log: str | None = None
    exit_code: int | None = None
    signal: str | None = None

    @property
    def is_infrastructure(self) -> bool:
        """Whether the machine failed, not the user's code: trying again may help."""
        return self.kind in ("kernel-start", "infrastructure")


class CellRun(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One cell of the step's program as it ran.

    `number` is None for what nbci put in (injected parameters).
    """

    role: Literal["parameters", "injected", "imports", "functions", "step", "metrics"]
    number: int | None
    first_line: str
    result: Literal["passed", "failed", "not run"]
    seconds: float | None = None
    started_utc: str | None = None
    spilled: str | None = None


class Scrap(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A record that scrapbook's `sb.glue` left in a cell's outputs; `data` is JSON."""

    name: str
    data: Any
    cell: int | None = None


class Metric(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A number that a step produced; NaN and the infinities are numbers here."""

    name: str
    value: float
    source: str


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a kernel used: CPU seconds of itself and its ended children, peak resident memory."""

    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    gpu: str | None = None
    peak_gpu_memory_bytes: int | None = None


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One try at a step; `notebook` and `log` are relative to the step's folder in the run."""

    number: int
    result: Literal["passed", "failed"]
    started_utc: str
    seconds: float
    failure: Failure | None = None
    cells: tuple[CellRun, ...] = ()
    notebook: str | None = None
    log: str | None = None


class FileRef(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file or folder as it stood: its digest, size in bytes and number of files.

    The digest of a folder is that of its listing.
    """

    path: str
    digest: str
    bytes: int
    files: int = 1


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing that a step's result depends on; `digest` tells one state of it from another."""

    kind: str
    label: str
    digest: str


class StepRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of one step.

    `reason` says why it was skipped or reused; `run` is where a reused one ran. `observed` is what
    it was seen to use beside what it declares, and `observed_version` of which list of kinds.
    `deleted` are names that it took and that had no value at its end.
    """

    name: str
    result: StepResult
    started_utc: str | None = None
    ended_utc: str | None = None
    seconds: float | None = None
    reason: str | None = None
    run: str | None = None
    host: str | None = None
    kernel: str | None = None
    kernel_version: str | None = None
    key: str | None = None
    parts: tuple[Part, ...] = ()
    observed: tuple[Part, ...] = ()
    observed_version: int = 1
    params: Mapping[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    takes: tuple[ValueRef, ...] = ()
    gives: tuple[ValueRef, ...] = ()
    deleted: tuple[str, ...] = ()
    deps: tuple[FileRef, ...] = ()
    outs: tuple[FileRef, ...] = ()
    metrics: tuple[Metric, ...] = ()
    scraps: tuple[Scrap, ...] = ()
    distributions: Mapping[str, str] | None = None
    usage: Usage | None = None
    # None where the step does not ask for the comparison
    outputs: OutputCheck | None = None
    warnings: tuple[str, ...] = ()
    # None where this run did not audit the step
    audit: StepAudit | None = None

    @property
    def ended_well(self) -> bool:
        """Whether the step has a result to build on: it passed, or an earlier one was reused."""
        return self.result in _ENDED_WELL

    @property
    def full_metrics(self) -> dict[str, float]:
        """Its metrics by their full names, `step:metric`."""
        return {f"{self.name}:{metric.name}": metric.value for metric in self.metrics}

    @property
    def failure(self) -> Failure | None:
        """The failure of the last attempt, when the step failed."""
        # An attempt of a step that passed later failed, too, and is no failure of the step.
        if self.result != "failed" or not self.attempts:
            return None
        return self.attempts[-1].failure

    @property
    def outcome(self) -> StepOutcome:
        """The result as people are shown it: a step that was stopped did not fail."""
        if self.failure is not None and self.failure.kind == "interrupted":
            return "interrupted"
        return self.result


class ParameterValue(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A parameter as the run had it.

    `source` says where the value came from: `-p`, a file's path, a build's parameter; `help` what
    it means.
    """

    name: str
    value: Any
    source: str
    help: str | None = None


class Remeasured(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The model of a baseline, measured again on the data of this run.

    `asked` and `identity` are those of the baseline, `step` the one that was carried out with the
    baseline's `files` in the place of the run's. `run` is where that was done, which for a kept
    result is an earlier one. `metrics` are by full names. `observed` is what the step was seen to
    use with these files and not with the run's own. `reason` says why it could not be measured;
    then there is nothing else.
    """

    asked: str
    identity: str
    step: str
    reason: str | None = None
    run: str | None = None
    files: tuple[FileRef, ...] = ()
    metrics: Mapping[str, float] | None = None
    outs: tuple[FileRef, ...] = ()
    observed: tuple[Part, ...] = ()


class RunRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One execution of a plan; `steps` are in the plan's order.

    `failure` is one that belongs to no single step. `result` is what became of its steps, `outcome`
    of the whole. `by` is who ran it as git names them, `user` as the system does. `build` and
    `change` are the pages of CI's build and of the pull request that it was for. `same_as` is the
    run whose results stand for this one, where nothing at all had to be done. `parent` is the run
    that this one belongs to, of a trial the sweep, and `role` what it is to that one. `verdict` is
    what the gates made of it; None where there are none, or where it was not judged. `remeasured`
    are the models of the baselines that it was judged by, on the data of this run. `seeds` is what
    it gives with other values of its seed. `chosen` says of which trial of a sweep it has the
    values, where it was asked for as that, and `confirmed` what it gave where no trial looked.
    `because` is the decision that started it, where no person did.
    """

    run: str
    pipeline: str
    target: str
    result: RunResult
    nbci: str
    format: int = field(default_factory=lambda: FORMAT)
    command: tuple[str, ...] = ()
    started_utc: str | None = None
    ended_utc: str | None = None
    seconds: float | None = None
    host: str | None = None
    user: str | None = None
    by: str | None = None
    platform: str | None = None
    python: str | None = None
    git: GitState | None = None
    build: str | None = None
    change: str | None = None
    params: tuple[ParameterValue, ...] = ()
    sources: Mapping[str, str] | None = None
    same_as: str | None = None
    parent: str | None = None
    role: RunRole | None = None
    steps: tuple[StepRecord, ...] = ()
    failure: Failure | None = None
    verdict: Verdict | None = None
    remeasured: tuple[Remeasured, ...] = ()
    seeds: SeedRuns | None = None
    chosen: Chosen | None = None
    confirmed: Confirmed | None = None
    because: Cause | None = None
    warnings: tuple[str, ...] = ()

    def step(self, name: str) -> StepRecord | None:
        """The record of that step, or None."""
        for step in self.steps:
            if step.name == name:
                return step
        return None

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The failures of its steps, and the one that belongs to no step."""
        of_steps = (step.failure for step in self.steps)
        return tuple(filter(None, (*of_steps, self.failure)))

    @property
    def outcome(self) -> RunOutcome:
        """The result as people are shown it: a run that a gate refused did not pass."""
        if self.result == "passed" and self.verdict is not None and self.verdict.refuses:
            return "refused"
        return self.result

    @property
    def param_values(self) -> dict[str, Any]:
        """The values of the run's parameters, by name."""
        return {param.name: param.value for param in self.params}

    @property
    def outs(self) -> dict[str, FileRef]:
        """What the run made, by path."""
        # A later step may write an out that an earlier one wrote: it is the last that counts.
        refs: dict[str, FileRef] = {}
        for step in self.steps:
            for ref in step.outs:
                refs[ref.path] = ref
        return refs

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric of the run by its full name, `step:metric`."""
        values: dict[str, float] = {}
        for step in self.steps:
            values |= step.full_metrics
        return values
