"""A gate as a pipeline file has it: what kinds of gates have in common, and where it stands."""

from __future__ import annotations

import math
import re
from sys import intern
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError, spelling_suffix
from nbci.pipeline.paths import project_path
from nbci.pipeline.rules import BASELINES, Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.pipeline.document import Document
    from nbci.pipeline.rules import DeclaredMetric, Remeasure

# What YAML makes of a bare `no` depends on its version.
_REMEASURE: Mapping[object, Remeasure] = {False: "no", "no": "no", "required": "required"}
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*\Z")


class GateFields:
    """The fields of one gate; errors name their line and column."""

    def __init__(
        self,
        document: Document,
        index: int,
        fields: Mapping[str, Any],
        declared: Mapping[str, DeclaredMetric],
    ) -> None:
        self.document = document
        self.index = index
        self.fields = fields
        self.declared = declared

    def error(self, message: str, *path: str, hint: str | None) -> UsageError:
        """The error, at the place that these keys lead to."""
        where = self.document.where("gates", self.index, *path)
        return UsageError(f"{message}, in gate {self.index + 1}", hint=hint, where=where)

    def given(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys that the gate has."""
        return list(filter(self.fields.__contains__, keys))

    def refuse(self, keys: Iterable[str], beside: str) -> None:
        """UsageError for the first of the keys, none of which goes with `beside`."""
        for key in self.given(keys):
            raise self.error(f"`{key}` does not go with `{beside}`", key, hint="write two gates")

    def common(self) -> dict[str, Any]:
        """What a gate of any kind may say."""
        fields = self.fields
        when = None
        if "when" in fields:
            when = str(fields["when"])  # YAML reads `when: true` as a truth value
        return {
            "name": fields.get("name", ""),
            "severity": self._word("severity", "fail"),
            "when": when,
            "remeasure": _REMEASURE.get(fields.get("remeasure"), "yes"),
            "first_run": self._word("first_run", "pass"),
            "missing": self._word("missing", "fail"),
            "description": fields.get("description"),
        }

    def _word(self, key: str, default: str) -> Any:
        """One of the words that the schema allows, interned."""
        # msgspec leaves out a default only if it is the same object, and a plan has one JSON.
        return intern(self.fields.get(key, default))

    def confirmed(self) -> Any:
        """What the value that is judged is of; the schema knows one word."""
        text = self.fields.get("of")
        # As with other words: the default is None, which is always the same object.
        return text and intern(text)

    def baseline(self, default: str | None = None) -> str | None:
        """What the gate compares with."""
        text = self.fields.get("baseline", default)
        if text is None:
            return None
        kind, colon, rest = str(text).partition(":")
        name = rest.strip()
        # Only the champion has a meaning without a name: the model's own.
        needs_name = bool(colon) or kind != "champion"
        if kind not in BASELINES or (needs_name and not name):
            suffix = ""
            if kind not in BASELINES:
                suffix = spelling_suffix(kind, BASELINES)
            hint = "write champion, champion:MODEL, run:ID, rev:GIT_REVISION or file:PATH"
            raise self.error(f"unknown baseline {text!r}{suffix}", "baseline", hint=hint)
        if kind == "file":
            where = self.document.where("gates", self.index, "baseline")
            name = project_path(name, ".", where)
        if not colon:
            return kind
        return f"{kind}:{name}"

    def refuse_files(self, beside: str) -> None:
        """UsageError where the baseline is a file of metrics, and predictions are compared."""
        if str(self.baseline()).startswith("file:"):
            raise self.error(
                f"`{beside}` compares predictions, and a file of metrics has none",
                "baseline",
                hint="compare with champion, run:ID or rev:GIT_REVISION",
            )

    def tolerance(self, *path: str) -> Tolerance | None:
        """How far a metric may move, as it stands where these keys lead; None if nothing does."""
        value: Any = self.fields
        for key in path:
            value = value.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            percent = self.percent(value)
            # Of the baseline, which is not known yet.
            if percent is not None:
                return Tolerance(amount=percent, percent=True)
        elif math.isfinite(value):
            return Tolerance(amount=float(value))
        raise self.error(
            f"{path[-1]}: {value!r} is no distance",
            *path,
            hint="write 0.01, or 2% of the baseline",
        )

    def significance(self) -> float | None:
        """The level below which a p-value is no chance."""
        level = self.fields.get("significant")
        # The schema has these bounds, too, and NaN is within neither.
        if level is not None and not 0 < level < 1:
            message = f"significant: {level} is no level of a p-value"
            raise self.error(message, "significant", hint="write 0.05")
        return level

    @staticmethod
    def percent(text: str) -> float | None:
        """The number before the sign of per cent; None for another text."""
        percent = _PERCENT.match(text)
        if percent is None:
            return None
        return float(percent[1])
