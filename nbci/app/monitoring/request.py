"""What is asked of a monitor: where it looks, and the rules, whoever gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError
from nbci.params.yaml_text import read_yaml
from nbci.pipeline.document import Document, read_document
from nbci.pipeline.monitor_rules import default_rules, read_rules
from nbci.schema import violations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.pipeline.monitor_rules import MonitorRule
    from nbci.registry.grammar import Reference


class MonitorRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci monitor`; the fields are its options.

    `rules` are those of a pipeline's step, `rules_file` a file that has some. `pipeline` and `step`
    are those that it is carried out for.
    """

    reference: Reference
    folder: Path
    url: str | None = None
    data: Path | None = None
    log: Path | None = None
    labels: Path | None = None
    window_seconds: float | None = None
    rules: Sequence[Mapping[str, object]] | None = None
    rules_file: Path | None = None
    pipeline: str | None = None
    step: str | None = None


def check_request(request: MonitorRequest) -> None:
    """UsageError where the options do not say what to look at, or contradict each other."""
    if (request.data is None) == (request.log is None):
        raise UsageError(
            "a monitor looks at either data or a log",
            hint="--data PATH for a table or a folder of images, --log FOLDER for a request log",
        )
    if request.window_seconds is not None and request.log is None:
        raise UsageError(
            "a window of time goes with a log: data have no times that nbci knows",
            hint="leave --window out, or name a log",
        )


def rules_of(
    given: Sequence[Mapping[str, object]] | None, file: Path | None
) -> tuple[tuple[MonitorRule, ...], bool]:
    """The rules, and whether they are the default ones, since nobody gave any."""
    if given is not None:
        # A plan's settings were read from a file that was checked; they have no places by now.
        text = json.dumps({"rules": given})
        document = Document(
            path="the step's settings", data={"rules": given}, text=read_yaml(text, "settings")
        )
        return read_rules(document, ("rules",), given), False
    if file is not None:
        return _from_file(file), False
    return default_rules(), True


def _from_file(file: Path) -> tuple[MonitorRule, ...]:
    """The rules of a file that has `rules:`, or of the only monitor of a pipeline file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the rules cannot be read: {error}", where=Location(str(file))) from error
    # A pipeline file has rules of its own to be read by, and tells its mistakes better.
    data = read_yaml(text, str(file)).data
    if isinstance(data, dict) and "steps" in data:
        return _of_pipeline(read_document(text, str(file)))
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list):
        raise UsageError(
            "the file has neither `rules:` nor steps",
            where=Location(str(file)),
            hint="write `rules: [{drift: {at_most: 0.2}}]`, or name a pipeline with a monitor",
        )
    return _of_rules(text, file, data)


def _of_rules(text: str, file: Path, data: Mapping[str, Any]) -> tuple[MonitorRule, ...]:
    # Checked as the monitor of a step, so that both know the same keys.
    as_step = {"steps": {"monitor": {"monitor": {"model": "model", **data}}}}
    for violation in violations(as_step, "pipeline"):
        # Without the keys that stand around it for the schema only.
        path = violation.path[3:]
        where = read_yaml(text, str(file)).where(path, key=violation.about == "key")
        raise UsageError(violation.message, where=where)
    document = Document(path=str(file), data=data, text=read_yaml(text, str(file)))
    return read_rules(document, ("rules",), data["rules"])


def _of_pipeline(document: Document) -> tuple[MonitorRule, ...]:
    steps = document.text.data["steps"]
    names = [name for name, fields in steps.items() if "monitor" in fields]
    if len(names) != 1:
        raise UsageError(
            f"the pipeline has {len(names) or 'no'} monitors",
            where=Location(document.path),
            hint="name a file with the rules of one",
        )
    place = ("steps", names[0], "monitor", "rules")
    return read_rules(document, place, steps[names[0]]["monitor"].get("rules"))
