"""What a kernel is asked to do for one attempt at a step, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.handoff.values import ValueRef
    from nbci.records.run_record import CellRun, Failure, Metric, Scrap, Usage

# In the order in which they run.
Role = Literal["parameters", "injected", "imports", "functions", "step", "metrics"]


class ProgramCell(Struct, frozen=True, kw_only=True):
    """A code cell of the program.

    `source` is what runs, in which imports may be left out; `metadata` is the cell's own.
    """

    role: Role
    number: int | None
    source: str
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None


class MetricProbe(Struct, frozen=True, kw_only=True):
    """A metric read from the kernel at the step's end: the value of `expression`, named `name`."""

    name: str
    expression: str
    cell: int


class KernelJob(Struct, frozen=True, kw_only=True):
    """One attempt at a step, complete: nothing else is consulted while it runs.

    `verified` are digests of values whose files are known to be whole. The order is: parameters,
    imports and functions cells, then `takes` are loaded from `values_folder`, then step and metrics
    cells, then `gives` are saved there. `random_states` are set with them. For messages, `givers`
    maps the names of what is taken to the steps that gave it, and `consumers` the names of what is
    given to steps that take it. `followed`: other steps see what the step leaves.
    `defined_by_reference` names classes and functions that the notebook's imports and functions
    cells define. `log_path` receives what the kernel's process writes outside any cell;
    `journal_path` the outputs as they come, for when nbci is killed; `spill_folder` the outputs
    over `output_cap_bytes` a cell. `secrets` maps names to values: masked in all that leaves, like
    whatever `env`, the kernel's whole environment, holds of credentials. `interpreter` is the
    Python whose ipykernel is the kernel, whatever `kernel_name` stands for. `held` are conditions
    that are the same in each run of the step, by their names in `inkernel.held_conditions`.
    """

    step: str
    kernel_name: str
    language: str
    notebook_metadata: Mapping[str, Any]
    cells: tuple[ProgramCell, ...]
    project: Path
    cwd: Path
    env: Mapping[str, str]
    values_folder: Path
    spill_folder: Path
    log_path: Path
    journal_path: Path | None = None
    takes: tuple[ValueRef, ...] = ()
    random_states: tuple[ValueRef, ...] = ()
    followed: bool = False
    # Read once in a run, however many steps take them.
    verified: frozenset[str] = frozenset()
    gives: tuple[str, ...] = ()
    optional_gives: tuple[str, ...] = ()
    givers: Mapping[str, str] | None = None
    consumers: Mapping[str, str] | None = None
    defined_by_reference: frozenset[str] = frozenset()
    probes: tuple[MetricProbe, ...] = ()
    secrets: Mapping[str, str] | None = None
    shell_errors: Literal["fail", "ignore"] = "fail"
    cell_timeout_seconds: float | None = None
    timeout_seconds: float | None = None
    # Beyond it a notebook becomes slow to open; all of the output is kept beside it.
    output_cap_bytes: int = 1 << 20
    interpreter: Path | None = None
    held: tuple[str, ...] = ()


Sight = tuple[str, str, tuple[str, ...]]
"""Something that a kernel was seen to look at: the observation's kind, a path, and details."""


class Seen(Struct, frozen=True, kw_only=True):
    """What a Python kernel touched that no declaration tells; all paths are absolute.

    `search_path` is where it looked for modules before the step's code put anything on it. `stamps`
    has inode, size and times of files and folders as they were when they were first read. `native`
    are packages with code in which Python sees no file opened, `programs` what else was started;
    `has_workers` when there were child processes that run the step's own code. `unwatched` are
    those of `native` that may have opened what the system did not tell of. `has_secret_paths` when
    paths were left out, since they are secrets.
    """

    interpreter: str
    site_folders: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sights: tuple[Sight, ...] = ()
    stamps: Mapping[str, tuple[int, int, int, int]] = {}
    written: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    native: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    has_workers: bool = False
    unwatched: tuple[str, ...] = ()
    has_secret_paths: bool = False


class RandomUse(Struct, frozen=True, kw_only=True):
    """Which random states of its process the step drew from or seeded, and what it left.

    `unseeded` are those that nobody seeded, `reseeded` those that the step itself set.
    """

    drew: tuple[str, ...] = ()
    unseeded: tuple[str, ...] = ()
    reseeded: tuple[str, ...] = ()
    gives: tuple[ValueRef, ...] = ()


class JobOutcome(Struct, frozen=True, kw_only=True):
    """What came of a job: the executed notebook, and all that was seen.

    The notebook is nbformat 4 JSON, partial when the job failed. `left` are settings of its process
    that the step changed, for people.
    """

    failure: Failure | None
    notebook: Mapping[str, Any]
    cells: tuple[CellRun, ...]
    gives: tuple[ValueRef, ...] = ()
    deleted: tuple[str, ...] = ()
    probes: tuple[Metric, ...] = ()
    scraps: tuple[Scrap, ...] = ()
    distributions: Mapping[str, str] | None = None
    kernel_version: str | None = None
    usage: Usage | None = None
    seen: Seen | None = None
    random: RandomUse = RandomUse()
    left: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class OutputWatch(Protocol):
    """Reads along in what a step's cells print and show: all of it, not only what is kept.

    On the event loop's thread; must return quickly. What it hears is masked.
    """

    def printed(self, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """A cell printed `text`, which may end in the middle of a line."""

    def shown(self, output: Mapping[str, Any]) -> None:
        """A cell showed an output of nbformat, or the new content of one."""


class Listener(Protocol):
    """Hears of what happens while it does, on the event loop's thread; must return quickly.

    Text is already masked.
    """

    def cell_started(self, cell: ProgramCell, index: int, total: int) -> None:
        """The program's cell `index` (from 0) of `total` begins."""

    def text_printed(
        self, cell: ProgramCell | None, text: str, stream: Literal["stdout", "stderr"]
    ) -> None:
        """The cell (None: the kernel's process outside any cell) printed `text`."""

    def cell_ended(self, cell: ProgramCell, run: CellRun) -> None:
        """The cell ended, well or not."""
