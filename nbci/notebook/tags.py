"""The tag grammar: Kale's in all its dialects, papermill's `parameters`, and nbci's own."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn

from nbci.errors import Location, UsageError
from nbci.formatting.durations import parse_duration
from nbci.notebook.nbval_marks import TAGS as NBVAL_TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.notebook.cells import Cell, Notebook

Role = Literal["step", "skip", "imports", "functions", "parameters", "metrics", "reference"]

STEP_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The name of a secret and the key in it, as `K8sSecretsValidator` of Kale 2.3 allows them.
_KUBERNETES_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?:[A-Za-z0-9._-]+")

Settings = dict[str, "str | int | float | bool | None"]

_SPECIAL: dict[str, Role] = {
    "skip": "skip",
    "imports": "imports",
    "functions": "functions",
    "parameters": "parameters",
    "pipeline-parameters": "parameters",
    "metrics": "metrics",
    "pipeline-metrics": "metrics",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTags:
    """What the tags of one cell say. `role` None: the cell belongs to the block before it.

    `pipeline` is the pipeline's name, or that of the notebook that a reference stands for.
    `settings` are those of the step (agent, timeout_seconds, retries, container, cache, report,
    check);
    `written` says for each the tag that set it.
    """

    role: Role | None = None
    steps: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    ins: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict, compare=False)
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pipeline: str | None = None


@dataclass(slots=True)
class _Reading:
    """The tags of one cell while they are read, one after another."""

    where: Location
    steps: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    ins: list[str] = field(default_factory=list)
    outs: list[str] = field(default_factory=list)
    predictions: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    settings: Settings = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pipeline: str | None = None

    def wrong(self, message: str, hint: str | None = None) -> NoReturn:
        raise UsageError(message, hint=hint, where=self.where)

    def step(self, value: str) -> None:
        if value and self.steps:
            self.wrong(
                f"two step names in one cell: {self.steps[0]} and {value}",
                "split the cell, or write one tag `block:a;b` where the cell belongs to both",
            )
        # Kale's older dialect: one cell in several steps.
        self.steps += self.names(value)

    def prev(self, value: str) -> None:
        if not value:
            self.wrong("`prev:` names no step", "write `prev:NAME`")
        self.after += self.names(value)

    def names(self, value: str) -> list[str]:
        """The names between semicolons, each checked."""
        return list(map(self.name, filter(None, value.split(";"))))

    def name(self, value: str) -> str:
        value = value.strip()
        if not STEP_NAME.fullmatch(value):
            suggestion = re.sub(r"[^a-z0-9_-]+", "_", value.lower()).strip("_")
            hint = None
            if suggestion:
                hint = f"did you mean {suggestion!r}?"
            self.wrong(f"{value!r} is no step name: lower-case letters, digits, `-` and `_`", hint)
        return value

    def limit(self, value: str) -> None:
        resource, _, amount = value.rpartition(":")
        is_gpu = resource.endswith("/gpu")
        if not resource or not amount or (is_gpu and not re.fullmatch("[0-9]+", amount)):
            self.wrong(
                f"`limit:{value}` is no limit",
                "write `limit:RESOURCE:AMOUNT`, such as `limit:nvidia.com/gpu:1`",
            )
        # `0` takes the GPU away that `steps_defaults` ask for.
        if is_gpu and not amount.strip("0"):
            self.settings.setdefault("agent", None)
        elif is_gpu and self.settings.get("agent") is None:
            self.settings["agent"] = "gpu"

    def switch(self, key: str, value: str) -> None:
        if value not in ("enabled", "disabled"):
            self.wrong(
                f"`{key}:{value}` says neither enabled nor disabled",
                f"write `{key}:enabled` or `{key}:disabled`",
            )
        self.settings[key] = value == "enabled"

    def pair(self, into: dict[str, str], key: str, value: str) -> None:
        name, colon, text = value.partition(":")
        if not name or not colon:
            self.wrong(f"`{key}:{value}` has no value", f"write `{key}:KEY:VALUE`")
        into[name] = text

    def agent(self, value: str) -> None:
        if not value:
            self.wrong("`agent:` names no label", "write `agent:LABEL`")
        self.settings["agent"] = value

    def timeout(self, value: str) -> None:
        try:
            self.settings["timeout_seconds"] = parse_duration(value)
        except ValueError:
            self.wrong(
                f"`timeout:{value}` is no duration",
                "write `timeout:90s`, `timeout:30m` or `timeout:2h`",
            )

    def check(self, value: str) -> None:
        if value != "outputs":
            self.wrong(f"`check:{value}` names nothing to check", "write `check:outputs`")
        self.settings["check"] = value

    def retries(self, value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,4}", value):
            self.wrong(f"`retries:{value}` is no number", "write `retries:2`")
        self.settings["retries"] = int(value)

    def secret(self, value: str) -> None:
        """The variable; Kale names a secret of Kubernetes and the key in it before."""
        kubernetes, _, variable = value.rpartition(":")
        if not _VARIABLE.fullmatch(variable) or (
            kubernetes and not _KUBERNETES_SECRET.fullmatch(kubernetes)
        ):
            self.wrong(
                f"`secret:{value}` is no name of an environment variable",
                "write `secret:NAME`, e.g. secret:DB_PASSWORD, "
                "or as Kale does secret:SECRET:KEY:NAME",
            )
        self.secrets.append(variable)

    def path(self, into: list[str], key: str, value: str) -> None:
        if not value:
            self.wrong(f"`{key}:` names no path", f"write `{key}:PATH`")
        into.append(value)

    def image(self, value: str) -> None:
        self.settings["container"] = value

    def notebook_name(self, value: str) -> None:
        self.pipeline = value


STEP_TAGS = ("step", "block")
"""Tags, with a name behind a colon, of the first cell of a step."""
FIRST_CELL_TAGS = (*STEP_TAGS, "notebook")
"""The same of what makes a notebook a pipeline: a step, or a reference to another notebook."""

SETTING_TAGS = (
    "agent",
    "timeout",
    "retries",
    "image",
    "cache",
    "report",
    "gpu",
    "prev",
    "after",
    "limit",
)
"""Tags that count only on the first cell of a step; those of files and secrets count on each."""

_PREFIXES: dict[str, Callable[[_Reading, str], None]] = {
    **dict.fromkeys(STEP_TAGS, _Reading.step),
    "prev": _Reading.prev,
    "after": _Reading.prev,
    "annotation": lambda reading, value: reading.pair(reading.annotations, "annotation", value),
    "label": lambda reading, value: reading.pair(reading.labels, "label", value),
    "limit": _Reading.limit,
    "image": _Reading.image,
    "cache": lambda reading, value: reading.switch("cache", value),
    "report": lambda reading, value: reading.switch("report", value),
    "notebook": _Reading.notebook_name,
    "agent": _Reading.agent,
    "timeout": _Reading.timeout,
    "retries": _Reading.retries,
    "check": _Reading.check,
    "in": lambda reading, value: reading.path(reading.ins, "in", value),
    "out": lambda reading, value: reading.path(reading.outs, "out", value),
    "predictions": lambda reading, value: reading.path(reading.predictions, "predictions", value),
    "secret": _Reading.secret,
}

# The kinds that Kale 2.3 knows there, as `STEPS_DEFAULTS_LANGUAGE` of its notebook processor lists
# them.
DEFAULTS = ("annotation", "label", "limit", "secret", "image", "cache", "report")

_SPELLINGS = (
    *_SPECIAL,
    *(f"{prefix}:" for prefix in _PREFIXES),
    *("gpu", "raises-exception"),
    *NBVAL_TAGS,
)


def read_tags(notebook: Notebook, cell: Cell) -> CellTags:
    """Understand a cell's tags; UsageError for those that are wrong.

    Unknown ones are other tools', unless they look like a misspelt one of ours.
    """
    # These stand alone: a cell of imports is no step, whatever its other tags say.
    for tag in cell.tags:
        if tag in _SPECIAL:
            return CellTags(role=_SPECIAL[tag])

    reading = _Reading(where=notebook.where(cell))
    for tag in cell.tags:
        before = dict(reading.settings)
        _read_tag(reading, tag)
        # The last tag that sets a setting is the one that messages about it name.
        for key, value in reading.settings.items():
            if before.get(key) != value:
                reading.written[key] = tag
    if reading.pipeline is not None and cell.notebook_path is not None:
        _check_reference(reading, cell)
        return CellTags(role="reference", pipeline=reading.pipeline)
    role: Role | None = None
    if reading.steps:
        role = "step"
    return CellTags(
        role=role,
        steps=tuple(dict.fromkeys(reading.steps)),
        after=tuple(dict.fromkeys(reading.after)),
        ins=tuple(reading.ins),
        outs=tuple(reading.outs),
        predictions=tuple(reading.predictions),
        secrets=tuple(reading.secrets),
        settings=reading.settings,
        written=reading.written,
        annotations=reading.annotations,
        labels=reading.labels,
        pipeline=reading.pipeline,
    )


def _check_reference(reading: _Reading, cell: Cell) -> None:
    """A reference to another notebook, as Kale's `NotebookProcessor` takes it."""
    reading.name(reading.pipeline or "")
    if reading.steps:
        reading.wrong(
            "a cell that refers to a notebook is no step", "give the step a cell of its own"
        )
    # Kale does not run the cell's own code, so code in it would be lost without a word.
    lines = filter(None, map(str.strip, cell.source.splitlines()))
    if not all(line.startswith("#") for line in lines):
        reading.wrong(
            f"this cell refers to the notebook {cell.notebook_path}, "
            "and holds code of its own, which would not run",
            "move the code to a cell tagged `step:NAME`",
        )


def is_default(tag: object) -> bool:
    """Whether `metadata.kubeflow_notebook.steps_defaults` may hold the tag."""
    return isinstance(tag, str) and tag.partition(":")[0] in DEFAULTS


def read_defaults(notebook: Notebook, tags: Sequence[str]) -> CellTags:
    """Understand Kale's `steps_defaults`: tags that hold for every step.

    Each is one of those that `is_default`.
    """
    reading = _Reading(where=Location(notebook.path))
    for tag in tags:
        _read_tag(reading, tag)
    return CellTags(
        secrets=tuple(reading.secrets),
        settings=reading.settings,
        annotations=reading.annotations,
        labels=reading.labels,
    )


def _read_tag(reading: _Reading, tag: str) -> None:
    prefix, colon, value = tag.partition(":")
    if tag == "gpu":
        reading.settings["agent"] = "gpu"
    elif colon and prefix in _PREFIXES:
        _PREFIXES[prefix](reading, value.strip())
    # Tags are free text, and other tools have theirs: papermill, nbgrader, jupyter-book.
    elif tag not in _SPELLINGS:
        _refuse_misspelt(reading, tag)


def _refuse_misspelt(reading: _Reading, tag: str) -> None:
    """Refuse a tag that looks like one of ours; any other is another tool's."""
    prefix, colon, value = tag.partition(":")
    meant = _misspelt(prefix, bool(colon))
    if meant is None:
        return
    if meant.endswith(":"):
        meant += value.strip()
    reading.wrong(f"unknown tag {tag!r}", f"did you mean {meant!r}?")


def _misspelt(prefix: str, has_value: bool) -> str | None:
    """The tag of ours that an unknown one was probably meant to be.

    Case and a letter or two may differ.
    """
    lowered = prefix.strip().lower()
    candidates: dict[str, str] = {}
    for spelling in _SPELLINGS:
        if spelling.endswith(":") == has_value:
            candidates[spelling.rstrip(":")] = spelling
    if lowered in candidates:
        return candidates[lowered]
    close = difflib.get_close_matches(lowered, candidates, n=1, cutoff=0.75)
    # A close match of another length is rather a word of another tool than a slip of ours.
    if not close or abs(len(close[0]) - len(lowered)) > 1:
        return None
    return candidates[close[0]]
