"""The places where released models run, as a pipeline file names them: `deploy`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from nbci.errors import UsageError, spelling_hint
from nbci.formatting.durations import parse_duration
from nbci.pipeline.rules import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.errors import Location
    from nbci.pipeline.document import Document

SHARES = ("error_share", "not_ready_share")
"""The figures that are shares, from 0 to 1, of which a rule may speak in per cent."""
KINDS = ("process", "container", "compose", "kserve")
_SMOKE_SECONDS = 30.0
_READY_SECONDS = 60.0


class ProcessOptions(Struct, frozen=True, kw_only=True):
    """A server on this machine; with `systemd`, its unit is written (to that path, if it is one).

    `log` and `folder` are paths relative to the project, or absolute ones.
    """

    port: int = 8080
    host: str = "127.0.0.1"
    open: bool = False
    workers: int = 1
    threads: int = 1
    log: str | None = None
    folder: str | None = None
    systemd: bool | str = False
    start: bool = False


class ImageOptions(Struct, frozen=True, kw_only=True):
    """An image, and the container that is made of it; `host` and `port` are of this machine."""

    base: str | None = None
    image: str | None = None
    push: bool = False
    port: int = 8080
    host: str = "127.0.0.1"
    open: bool = False
    wheel: str | None = None
    workers: int = 1
    folder: str | None = None


class KServeOptions(Struct, frozen=True, kw_only=True):
    """An InferenceService; `canary` is a share in per cent, such as `10%`."""

    storage: str | None = None
    image: str | None = None
    name: str | None = None
    namespace: str | None = None
    runtime: str | None = None
    canary: str | None = None
    service_account: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    apply: bool = False
    folder: str | None = None

    @property
    def canary_percent(self) -> int | None:
        """The share of requests for the new version; None where it gets all of them."""
        if self.canary is None:
            return None
        return int(self.canary.rstrip("% "))


Options = ProcessOptions | ImageOptions | KServeOptions
_OPTIONS: Mapping[str, type[Options]] = {
    "process": ProcessOptions,
    "container": ImageOptions,
    "compose": ImageOptions,
    "kserve": KServeOptions,
}


class Deployment(Struct, frozen=True, kw_only=True):
    """A place where releases of a model run, and what a new version has to keep there.

    `smoke` are rules over figures that are taken for `smoke_seconds`.
    """

    name: str
    model: str
    kind: Literal["process", "container", "compose", "kserve"]
    options: Options
    smoke: tuple[Gate, ...] = ()
    smoke_seconds: float = 0.0
    ready_seconds: float = _READY_SECONDS
    agent: str | None = None
    description: str | None = None


def read_deployments(document: Document) -> tuple[Deployment, ...]:
    """The places that the file names, in its order; UsageErrors have line and column."""
    models = document.data.get("models", {})
    found = []
    for name, fields in document.data.get("deploy", {}).items():
        model = fields["model"]
        if model not in models:
            raise UsageError(
                f"the deployment {name} is of the model {model!r}, which the file does not declare",
                hint=spelling_hint(model, models, f"models: {', '.join(models) or 'none'}"),
                where=document.where("deploy", name, "model"),
            )
        found.append(_read(document, name, fields))
    _refuse_shared_ports(document, found)
    return tuple(found)


def _read(document: Document, name: str, fields: Mapping[str, Any]) -> Deployment:
    kinds = [kind for kind in KINDS if kind in fields]
    if len(kinds) != 1:
        raise UsageError(
            f"the deployment {name} is to be one of {', '.join(KINDS)}",
            hint=f"it is {' and '.join(kinds) or 'none of them'}",
            where=document.where("deploy", name),
        )
    (kind,) = kinds
    smoke = _smoke_rules(document, name, fields.get("smoke", ()))
    smoke_seconds = 0.0
    if "smoke_for" in fields:
        smoke_seconds = parse_duration(fields["smoke_for"])
    elif smoke:
        # Rules without a time would judge nothing.
        smoke_seconds = _SMOKE_SECONDS
    # The schema has checked keys and types: what is left is what it cannot say.
    options = msgspec.convert(fields[kind], _OPTIONS[kind])
    _check_options(document.where("deploy", name, kind), name, options)
    return Deployment(
        name=name,
        model=fields["model"],
        kind=kind,  # type: ignore[arg-type] # one of KINDS
        options=options,
        smoke=smoke,
        smoke_seconds=smoke_seconds,
        ready_seconds=parse_duration(fields.get("ready_within", _READY_SECONDS)),
        agent=fields.get("agent"),
        description=fields.get("description"),
    )


def _check_options(where: Location, name: str, options: Options) -> None:
    """UsageError for options that are sound alone, and not together."""
    match options:
        case KServeOptions():
            # The cluster takes the files from a storage, or they are in the image.
            if (options.storage is None) == (options.image is None):
                raise UsageError(
                    f"the deployment {name} needs one of `storage` and `image`",
                    hint="storage: s3://bucket/{model}/{version}",
                    where=where,
                )
            if options.canary_percent is not None and options.canary_percent > 100:
                raise UsageError(f"canary: {options.canary} is more than everything", where=where)
        case ImageOptions():
            if options.push and options.image is None:
                raise UsageError(
                    f"the deployment {name} is to be pushed, and has no name to be pushed to",
                    hint="image: registry.example.com/NAME",
                    where=where,
                )
        case ProcessOptions():
            if options.start and not options.systemd:
                raise UsageError(
                    "`start` is for a unit of systemd; a process is started anyway",
                    hint="systemd: true",
                    where=where,
                )
            # A unit is asked at the port that is written in it.
            if options.systemd and options.port == 0:
                raise UsageError("a unit of systemd needs a `port`", hint="8080", where=where)


def _refuse_shared_ports(document: Document, found: list[Deployment]) -> None:
    """UsageError for two places on one port of one machine."""
    taken: dict[tuple[str | None, str, int], str] = {}
    for place in found:
        options = place.options
        # A free port is another one each time.
        if isinstance(options, KServeOptions) or options.port == 0:
            continue
        address = (place.agent, options.host, options.port)
        other = taken.setdefault(address, place.name)
        if other != place.name:
            raise UsageError(
                f"the deployments {other} and {place.name} are both to listen at port "
                f"{options.port}",
                hint="give one of them another `port`",
                where=document.where("deploy", place.name),
            )


def _smoke_rules(document: Document, name: str, rules: Any) -> tuple[Gate, ...]:
    found: list[Gate] = []
    for index, fields in enumerate(rules):
        where = document.where("deploy", name, "smoke", index)
        bounds = {}
        for key in ("at_most", "at_least"):
            if key in fields:
                bounds[key] = _bound(fields[key], fields["metric"], where)
        # It would pass whatever comes, and look as if something was watched.
        if not bounds:
            raise UsageError(
                f"the rule asks nothing of {fields['metric']}",
                hint="add at_most or at_least",
                where=where,
            )
        gate = Gate(
            name=fields.get("name", ""),
            metric=fields["metric"],
            severity=fields.get("severity", "fail"),
            at_most=bounds.get("at_most"),
            at_least=bounds.get("at_least"),
        )
        found.append(msgspec.structs.replace(gate, name=gate.name or _text(gate)))
    return tuple(found)


def _text(gate: Gate) -> str:
    return f"{gate.subject} {gate.asked}"


def _bound(value: float | str, metric: str, where: Location) -> float:
    """The bound as a number; per cent are of a share only."""
    if not isinstance(value, str):
        if not math.isfinite(value):
            raise UsageError(f"{value} is no bound", hint="write a finite number", where=where)
        return float(value)
    number = value.rstrip("% ")
    if value.endswith("%"):
        if metric not in SHARES:
            raise UsageError(
                f"{metric} is no share: {value} means nothing of it",
                hint=f"write a number; shares are {', '.join(SHARES)}",
                where=where,
            )
        # In decimals: 0.07 of 7 % is not 0.07000000000000001.
        return float(f"{number}e-2")
    return float(number)
