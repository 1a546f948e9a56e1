"""The plan: steps in order with their parameters, what each takes and gives, and why it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from nbci.graph import by_name, edges_of
from nbci.pipeline.rules import DeclaredMetric, Gate
from nbci.records.cause import Cause
from nbci.records.chosen import Chosen
from nbci.records.run_record import ParameterValue, Part

FORMAT = 1
"""The version of plan.json: `nbci step` on an agent reads what another nbci may have written."""

NOT_ASKED_FOR = "not asked for"
"""Why a step is skipped that the user left out, with `--until` and the like."""

TAGGED_SKIP = "tagged `skip`"
"""Why a cell is left out that its author took out of the pipeline."""

Action = Literal["run", "reuse", "depends", "skip"]
CellRole = Literal["parameters", "injected", "imports", "functions", "step", "metrics"]

# All structs here leave out defaults: most steps have few settings, and each agent reads all steps.
# All have `gc=False`: none is ever part of a cycle, and a plan of 10,000 steps holds so many that
# the garbage collector's passes over them showed in the time that planning takes.


class Take(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value that a step takes: its name and the steps it may come from (several at a join)."""

    name: str
    givers: tuple[str, ...]


class LeftOut(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A code cell of a notebook that no step runs: its number, and why."""

    notebook: str
    cell: int
    reason: str


class MarkdownCell(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A Markdown cell of a notebook, by its number among all cells.

    `attachments` are the pictures pasted into it: by name, each as text by its media types, as
    nbformat 4 has them.
    """

    number: int
    source: str
    attachments: Mapping[str, Mapping[str, str]] | None = None


class PlannedCell(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A code cell as the step will run it.

    `number` is that of the notebook; None where nbci puts the cell in.
    """

    role: CellRole
    number: int | None
    source: str


class Probe(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A metric to read at the step's end: the value of `expression`, from metrics cell `cell`."""

    name: str
    expression: str
    cell: int


class PlannedStep(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step, ready to be run anywhere: nothing of the pipeline file is needed beside it.

    `cells` is the program in the order it runs; `params` what the notebook's parameters will be
    (values may still hold `${step:metric}`, resolved when that step has ended, and then made to fit
    `param_types`). `action` is what will happen and `reason` why. `cwd` and paths are relative to
    the project's root. `withheld` are secrets that a build of a fork does not get. `asked` are
    metrics that are no part of its key: a result that lacks them is none for it.
    """

    name: str
    notebook: str
    kernel: str
    language: str
    cells: tuple[PlannedCell, ...]
    node: str = ""
    description: str | None = None
    after: tuple[str, ...] = ()
    action: Action = "run"
    reason: str = ""
    params: Mapping[str, Any] | None = None
    overrides: tuple[str, ...] = ()
    param_sources: Mapping[str, str] | None = None
    param_types: Mapping[str, str] | None = None
    takes: tuple[Take, ...] = ()
    gives: tuple[str, ...] = ()
    optional_gives: tuple[str, ...] = ()
    defined_by_reference: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    asked: tuple[Probe, ...] = ()
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    # one of `outs`: a table of what a model predicted, which the report compares with earlier ones
    predictions: str | None = None
    metrics: tuple[str, ...] = ()
    agent: str | None = None
    gpu: bool = False
    timeout_seconds: float | None = None
    cell_timeout_seconds: float | None = None
    retries: int = 0
    env: Mapping[str, str] | None = None
    environment: str | None = None
    container: str | None = None
    secrets: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    cwd: str = "."
    # None: not declared, so it depends on what the step is seen to do, such as to use the network
    cache: bool | None = None
    # what the run must show again as the notebook has it
    check: Literal["outputs"] | None = None
    report: bool = True
    parts: tuple[Part, ...] = ()
    # the values of its combination, by the axes of its matrix
    matrix: Mapping[str, Any] | None = None

    @property
    def writes(self) -> tuple[str, ...]:
        """The paths that it declares to write: its outs, and files that hold its metrics."""
        return (*self.outs, *self.metrics)


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A statement of imports and functions cells that values may refer to; its part of a key.

    `mentions` are the names of other definitions and of parameters in it, in the bodies of its
    functions, too.
    """

    binds: tuple[str, ...]
    mentions: tuple[str, ...]
    part: Part


class Fork(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A change from a fork.

    What its builds keep goes under `prefix`, and the rules are those of the branch's commit.
    `hidden` are the secrets of the branch's pipeline that no step sees, also where the agent's
    environment has them.
    """

    prefix: str
    branch: str
    commit: str
    hidden: tuple[str, ...] = ()


class PlannedSeeds(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The parameter of which a run takes several values, the first of them its own."""

    parameter: str
    values: tuple[int | float, ...]


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a run will do.

    It is immutable, and its JSON canonical, so the same pipeline gives the same bytes. `steps`
    stand in an order in which they can run one after another. `sources` maps each notebook and
    pipeline file to the digest of its text: a run refuses to carry on a plan whose sources have
    changed. `imports` are `.dvc` files that were brought up to date for it, by path, whatever the
    commit has. `definitions` are those of each Python notebook whose values may refer to any. Every
    code cell of its notebooks is a cell of a step or `left_out`; `markdown` has the Markdown cells
    of each notebook, for the report. `environment` is the lock file that was given for the steps
    that name none. `chosen` is the trial of a sweep that it carries out, where it is one, `because`
    the decision that it follows from, where no person asked for it.
    """

    pipeline: str
    target: str
    steps: tuple[PlannedStep, ...]
    description: str | None = None
    params: tuple[ParameterValue, ...] = ()
    sources: Mapping[str, str] | None = None
    # a factory, since `omit_defaults` would leave a plain default out of plan.json
    format: int = field(default_factory=lambda: FORMAT)
    nbci: str = ""
    keep_going: bool = False
    shell_errors: Literal["fail", "ignore"] = "fail"
    run_timeout_seconds: float | None = None
    metrics: Mapping[str, DeclaredMetric] | None = None
    gates: tuple[Gate, ...] = ()
    models: Mapping[str, Mapping[str, Any]] | None = None
    triggers: Mapping[str, Any] | None = None
    seeds: PlannedSeeds | None = None
    environment: str | None = None
    chosen: Chosen | None = None
    because: Cause | None = None
    fork: Fork | None = None
    imports: Mapping[str, str] | None = None
    definitions: Mapping[str, tuple[Definition, ...]] | None = None
    left_out: tuple[LeftOut, ...] = ()
    markdown: Mapping[str, tuple[MarkdownCell, ...]] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def leaves_out(self) -> bool:
        """Whether the user left steps out.

        Such a run is no candidate for anything, and is not judged.
        """
        return any(step.action == "skip" and step.reason == NOT_ASKED_FOR for step in self.steps)

    @property
    def required_metrics(self) -> tuple[str, ...]:
        """The declared metrics that a run must produce: all but those whose gate can do without."""
        required = dict.fromkeys(self.metrics or ())
        for gate in self.gates:
            if gate.metric is not None and gate.missing != "fail":
                required.pop(gate.metric, None)
        return tuple(required)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in their order."""
        return tuple(by_name(self.steps))

    def edges(self) -> dict[str, tuple[str, ...]]:
        """For each step those that it comes after."""
        return edges_of(self.steps)

    @property
    def writes(self) -> list[str]:
        """The paths that its steps declare to write."""
        paths: list[str] = []
        for step in self.steps:
            paths += step.writes
        return paths

    def step(self, name: str) -> PlannedStep:
        """The step of that name; KeyError when there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
