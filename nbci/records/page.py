"""What a build's page in a CI shows of its run: page.json.

The page shows it and decides nothing, so texts, directions and places are ready to be shown. All
links are relative to the report's folder.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

# No default is left out here: what reads the file is another program, often of another version.
FORMAT = 1

BuildResult = Literal["success", "unstable", "failure"]
GateWord = Literal["passed", "refused", "warned", "overridden", "skipped"]
ParameterKind = Literal["string", "boolean", "choice", "text"]
Direction = Literal["better", "worse", "same", "unknown"]
"""Where a metric went; `unknown` also where nothing says which way is better."""


class PageEnding(Struct, frozen=True, kw_only=True, gc=False):
    """How the build is to end, and why; `infrastructure`: the machine failed, not the code."""

    result: BuildResult
    message: str
    infrastructure: bool


class PageBadge(Struct, frozen=True, kw_only=True, gc=False):
    """The run in a few words, for a list of builds."""

    text: str
    kind: Literal["good", "bad", "plain"]


class PageFailure(Struct, frozen=True, kw_only=True, gc=False):
    """A step that failed; `step` is empty for a failure of the whole run."""

    step: str
    message: str
    place: str
    traceback: str
    hint: str
    link: str


class PageGate(Struct, frozen=True, kw_only=True, gc=False):
    """A gate's answer; `margin` is the room to its bound, or by how much that was missed."""

    gate: str
    step: str
    result: GateWord
    value: str
    explanation: str
    margin: str


class PageMetric(Struct, frozen=True, kw_only=True, gc=False):
    """A metric beside the baseline's. `number` is None for NaN and the infinities.

    `judged`: a gate looked at it.
    """

    name: str
    short: str
    number: float | None
    value: str
    change: str
    direction: Direction
    judged: bool


class PageStep(Struct, frozen=True, kw_only=True, gc=False):
    """A step, with how long it took or why it did not run; `link` is empty without a page."""

    name: str
    result: str
    note: str
    link: str


class GraphNode(Struct, frozen=True, kw_only=True, gc=False):
    """A box: a step or a group of steps; `title` is all that it says, for who cannot see it."""

    name: str
    label: str
    x: float
    y: float
    width: float
    height: float
    result: str
    note: str
    title: str
    link: str


class GraphEdge(Struct, frozen=True, kw_only=True, gc=False):
    """A line from one step to the next through these points."""

    points: tuple[tuple[float, float], ...]


class PageGraph(Struct, frozen=True, kw_only=True, gc=False):
    """The graph of the steps, in pixels; `alt` is what it shows, in words."""

    width: float
    height: float
    alt: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


class PageModel(Struct, frozen=True, kw_only=True, gc=False):
    """A version of a model that is in a stage now; the latest one has none where no stage does."""

    model: str
    version: str
    stage: str
    promoted_utc: str | None


class PageRelease(Struct, frozen=True, kw_only=True, gc=False):
    """The version that was made of the run."""

    model: str
    version: str


class PageParameter(Struct, frozen=True, kw_only=True, gc=False):
    """A parameter of the pipeline as a form asks for it; `type` is nbci's own word.

    `optional`: left empty, the pipeline's own default counts.
    """

    name: str
    type: str
    kind: ParameterKind
    default: str
    choices: tuple[str, ...]
    help: str
    optional: bool


class BuildPage(Struct, frozen=True, kw_only=True, gc=False):
    """One run as the page of its build shows it.

    Lists are cut where they are long, and `left_out` says what is missing. `failures` have the
    first one first, `metrics` those that gates judged. `graph` is None where there are too many
    steps to draw, or fewer than two. `models` are the pipeline's, as the registry has them now.
    """

    format: int
    run: str
    pipeline: str
    target: str
    nbci: str
    result: Literal["passed", "refused", "failed", "interrupted", "running"]
    headline: str
    ending: PageEnding
    description: str
    started_utc: str | None
    took: str | None
    commit: str
    report: str
    badge: PageBadge
    failures: tuple[PageFailure, ...]
    gates: tuple[PageGate, ...]
    metrics: tuple[PageMetric, ...]
    steps: tuple[PageStep, ...]
    graph: PageGraph | None
    models: tuple[PageModel, ...]
    release: PageRelease | None
    parameters: tuple[PageParameter, ...]
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]
