"""A pipeline as asked for: steps, parameters, and the rules that later judge and release."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from nbci.notebook.tags import CellTags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.dataflow.code import Stars
    from nbci.errors import Location
    from nbci.notebook.cells import Notebook
    from nbci.params import Parameter
    from nbci.pipeline.rules import DeclaredMetric, Gate
    from nbci.pipeline.search_space import Sweep
    from nbci.pipeline.seeds import Seeds


NO_DEFAULTS = CellTags()


class Blocks(Struct, frozen=True, kw_only=True):
    """The numbers of a notebook's cells that belong to no single step, in notebook order."""

    parameters: tuple[int, ...] = ()
    imports: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()
    metrics: tuple[int, ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """Cells that run together in one fresh kernel.

    `params` are those handed to the notebook by the pipeline file, still with `${name}` in them; a
    step of a notebook that is a pipeline by itself has none, the pipeline's parameters are the
    notebook's own. Paths in `deps`, `outs` and `metrics` are relative to the project's root, with
    `/`. `withheld` are secrets that it asks for and does not get. Its cells run in `folder` where
    that is given, whatever `cwd` says. `composition` is the notebook that refers to its own, or is
    its own and refers to others: values pass between all of their steps.
    """

    name: str
    notebook: str
    cells: tuple[int, ...]
    node: str = ""
    description: str | None = None
    after: tuple[str, ...] = ()
    # None: the notebook is a pipeline by itself, and has the pipeline's
    params: Mapping[str, Any] | None = None
    matrix: Mapping[str, Any] | None = None
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    # one of `outs`
    predictions: str | None = None
    metrics: tuple[str, ...] = ()
    agent: str | None = None
    timeout_seconds: float | None = None
    cell_timeout_seconds: float | None = None
    retries: int = 0
    env: Mapping[str, str] | None = None
    environment: str | None = None
    container: str | None = None
    secrets: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    when: str | None = None
    cwd: Literal["notebook", "project"] = "notebook"
    folder: str | None = None
    # None: not declared, which is True unless the step used the network
    cache: bool | None = None
    # what is compared with the notebook as it is committed
    check: Literal["outputs"] | None = None
    report: bool = True
    annotations: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    composition: str = ""

    @property
    def writes(self) -> tuple[str, ...]:
        """The paths that it declares to write: its outs, and files that hold its metrics."""
        return (*self.outs, *self.metrics)

    @property
    def working_folder(self) -> str:
        """The folder that the step's cells run in, relative to the project's root."""
        if self.folder:
            return self.folder
        if self.cwd == "project":
            return "."
        return posixpath.dirname(self.notebook) or "."

    @property
    def wants_gpu(self) -> bool:
        """Whether the step asks for a GPU: its agent is, or names among others, `gpu`."""
        if self.agent is None:
            return False
        # An agent may be an expression of Jenkins over labels, such as `linux && gpu`.
        labels = self.agent.replace("&", " ").replace("(", " ").split()
        return "gpu" in labels


class Reference(Struct, frozen=True, kw_only=True):
    """A cell that stands for another notebook: `path` is relative to the notebook's own folder."""

    name: str
    path: str
    cell: int


class TaggedNotebook(Struct, frozen=True, kw_only=True):
    """A notebook with its tags understood: which cells are steps, which serve all of them.

    `whole`: it has no step tags, so it is one step whose cells run in the notebook's own order.
    `dropped` are the numbers of cells that stand before whatever they could belong to; `stars` what
    its star imports bind. `defaults` hold for every step. Once `references` are followed
    (`composition.unfold`), the notebooks that they name are `parts`, by path from the project's
    root, and their steps are among `steps`.
    """

    notebook: Notebook
    name: str
    steps: tuple[Step, ...]
    blocks: Blocks
    declares_edges: bool
    whole: bool = False
    dropped: tuple[int, ...] = ()
    stars: Stars = field(default_factory=dict)
    defaults: CellTags = field(default_factory=lambda: NO_DEFAULTS)
    references: tuple[Reference, ...] = ()
    parts: Mapping[str, TaggedNotebook] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Pipeline(Struct, frozen=True, kw_only=True):
    """Steps, parameters and rules, from one notebook or from a pipeline file.

    `target` is the path that it came from. `notebooks` holds every notebook that a step runs, by
    its path relative to the project's root. `fork_secrets` are those that steps get in builds of
    forks, too. `names` are variables that its kernels bring along.
    """

    name: str
    target: str
    steps: tuple[Step, ...]
    params: tuple[Parameter, ...]
    notebooks: Mapping[str, TaggedNotebook]
    metrics: Mapping[str, DeclaredMetric]
    description: str | None = None
    gates: tuple[Gate, ...] = ()
    # beside the gates, which a plan has, too, without their places
    gate_places: tuple[Location, ...] = ()
    models: Mapping[str, Mapping[str, Any]] | None = None
    model_places: Mapping[str, Location] | None = None
    triggers: Mapping[str, Any] | None = None
    retrain: Mapping[str, Any] | None = None
    seeds: Seeds | None = None
    sweeps: Mapping[str, Sweep] = field(default_factory=dict)
    builds: Mapping[str, Any] | None = None
    fork_secrets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    order: Literal["declared", "dataflow"] = "declared"
    keep_going: bool = False
    shell_errors: Literal["fail", "ignore"] = "fail"
    run_timeout_seconds: float | None = None
    warnings: tuple[str, ...] = ()
