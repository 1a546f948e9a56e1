"""Write a search for runs as SQL.

The grammar is that of conditions and gates, values are bound, names are checked. A metric that
several steps have, `train/*:auc`, is the best of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError, spelling_hint
from nbci.pipeline.formulas import (
    Arithmetic,
    Combination,
    Comparison,
    Constant,
    Listing,
    Name,
    Unary,
    names,
    parse,
)
from nbci.pipeline.metric_names import is_pattern, matching, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from nbci.pipeline.formulas import Formula
    from nbci.pipeline.rules import Direction

_TEXTS = ("run", "pipeline", "target", "result", "started", "commit", "branch", "user", "host")
_NUMBERS = ("seconds", "dirty")
_COLUMNS = (
    "runs.id, runs.run, runs.stamp, runs.pipeline, runs.result, runs.started, runs.seconds,"
    " runs.problem"
)
_NAME_ID = "(SELECT id FROM names WHERE kind = ? AND name = ?)"
_HAS_METRIC = (
    "EXISTS (SELECT 1 FROM metrics WHERE run = runs.id"
    " AND name = (SELECT id FROM names WHERE kind = ? AND name = ?))"
)
_BEST_OF = (
    "(SELECT run, {best}(value) AS value FROM metrics WHERE name IN"
    " (SELECT id FROM names WHERE kind = ? AND name IN (SELECT value FROM json_each(?)))"
    " GROUP BY run)"
)
_WORDS = {"==": "=", "is": "IS", "is not": "IS NOT", "in": "IN", "not in": "NOT IN"}


def _undeclared(_: Sequence[str]) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A SELECT over runs, with the values for its question marks.

    `best_of` are the patterns of metrics in it, each with the direction that is better.
    """

    sql: str
    values: tuple[Any, ...]
    best_of: dict[str, Direction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names of metrics and parameters that there are.

    `direction` says which way is better for metrics of these full names, if that is declared.
    """

    metrics: Collection[str]
    params: Collection[str]
    direction: Callable[[Sequence[str]], Direction | None] = _undeclared


def trials_of(text: str) -> tuple[str | None, Formula | None]:
    """The sweep whose trials a search is for (`sweep == "ID"`), and the rest of the search.

    Without a sweep, the search is for the project's other runs.
    """
    formula = parse(text, "search")
    conditions: tuple[Formula, ...] = (formula,)
    if isinstance(formula, Combination) and formula.op == "and":
        conditions = formula.operands
    # Trials lie in folders of their own, so a sweep chooses where to look: it is no column.
    sweeps = [sweep for sweep in map(_sweep_named, conditions) if sweep is not None]
    others = tuple(one for one in conditions if _sweep_named(one) is None)
    if len(sweeps) > 1 or any("sweep" in names(other) for other in others):
        raise UsageError(
            "a search is for the trials of one sweep",
            hint='write sweep == "ID", joined to other conditions by `and`; '
            "params.sweep is a parameter of that name",
        )
    if not sweeps:
        return None, formula
    if len(others) > 1:
        return sweeps[0], Combination(op="and", operands=others)
    return sweeps[0], next(iter(others), None)


def _sweep_named(formula: Formula) -> str | None:
    match formula:
        case (
            Comparison(first=Name(name="sweep"), rest=(("==", Constant(value=str(sweep))),))
            | Comparison(first=Constant(value=str(sweep)), rest=(("==", Name(name="sweep")),))
        ):
            return sweep
    return None


def query(
    known: Known,
    *,
    where: str | Formula | None = None,
    sort: str | None = None,
    having: str | None = None,
    limit: int,
) -> Query:
    """The runs for which `where` holds, by the name `sort`, else the newest first.

    With `-` before `sort`, the largest first. `having` is a metric that they must have. A run that
    lacks what is compared or sorted by is not among them.
    """
    search = _Search(known)
    conditions = []
    order = "runs.run DESC"

    # In the order of the question marks: `values` are bound by position.
    if isinstance(where, str) and where:
        where = parse(where, "search")
    if where:
        conditions.append(search.condition(where))
    if having:
        conditions.append(search.has(having))
    if sort:
        name = sort.removeprefix("-")
        column = search.column(name, text=name in _TEXTS)
        direction = "ASC"
        if sort.startswith("-"):
            direction = "DESC"
        conditions.append(f"{column} IS NOT NULL")
        order = f"{column} {direction}, {order}"

    filters = ""
    if conditions:
        filters = f" WHERE {' AND '.join(conditions)}"
    tables = "runs" + "".join(search.joins)
    # Made of our own words: what a user wrote is bound, or is a column whose name was looked up.
    sql = f"SELECT {_COLUMNS} FROM {tables}{filters} ORDER BY {order} LIMIT ?"  # noqa: S608
    # The joins stand before the conditions in the statement.
    return Query(sql=sql, values=(*search.joined, *search.values, limit), best_of=search.best_of)


@dataclass(slots=True)
class _Search:
    """Builds the parts of a query: each metric or parameter is joined once."""

    known: Known
    joins: list[str] = field(default_factory=list)
    joined: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    tables: dict[tuple[str, str], str] = field(default_factory=dict)
    best_of: dict[str, Direction] = field(default_factory=dict)

    def condition(self, formula: Formula) -> str:
        match formula:
            case Combination(op=op, operands=operands):
                return f"({f' {op.upper()} '.join(map(self.condition, operands))})"
            case Unary(op="not", operand=operand):
                return f"(NOT {self.condition(operand)})"
            case Comparison(first=first, rest=rest):
                # `a < b < c` is `a < b AND b < c`, as in Python.
                parts = []
                left = first
                for word, right in rest:
                    parts.append(self.comparison(left, word, right))
                    left = right
                return f"({' AND '.join(parts)})"
            case _:
                return self.value(formula, text=False)

    def comparison(self, left: Formula, word: str, right: Formula) -> str:
        # IN of SQL takes a list; part of a text is found with instr.
        if word in ("in", "not in") and not isinstance(right, Listing):
            position = f"instr({self.value(right, text=True)}, {self.value(left, text=True)})"
            if word == "in":
                return f"({position} > 0)"
            return f"({position} = 0)"

        # In SQL nothing is equal to NULL, not even NULL.
        if isinstance(right, Constant) and right.value is None:
            word = {"==": "is", "!=": "is not"}.get(word, word)

        # A parameter has a column for text and one for numbers: the other side tells which.
        text = _is_text(left) or _is_text(right)
        operator = _WORDS.get(word, word)
        return f"({self.value(left, text=text)} {operator} {self.value(right, text=text)})"

    def value(self, formula: Formula, *, text: bool) -> str:
        match formula:
            case Constant(value=int() as number):
                self.values.append(float(number))
                return "?"
            case Constant(value=value):
                self.values.append(value)
                return "?"
            case Name(name=name):
                return self.column(name, text=text)
            case Listing(items=items):
                return f"({', '.join(self.value(item, text=text) for item in items)})"
            case Unary(op=("-" | "+") as sign, operand=operand):
                return f"({sign}{self.value(operand, text=False)})"
            case Arithmetic(op=op, left=left, right=right):
                one, other = self.value(left, text=False), self.value(right, text=False)
                # `%` of SQLite cuts both sides to integers.
                if op == "%":
                    return f"remainder({one}, {other})"
                return f"({one} {op} {other})"
            case _:
                return self.condition(formula)

    def column(self, name: str, *, text: bool) -> str:
        """The column of a name: of the run itself, a metric, or a parameter.

        `params.NAME` is a parameter where a metric has the name, too.
        """
        param = name.removeprefix("params.")
        if name in (*_TEXTS, *_NUMBERS):
            return f'runs."{name}"'
        if is_pattern(name):
            return f"{self._best_of(name)}.value"
        if name in self.known.metrics:
            return f"{self._table('metric', name)}.value"
        if param in self.known.params:
            table = self._table("param", param)
            if text:
                return f"{table}.text"
            return f"{table}.number"

        names = (*self.known.metrics, *self.known.params, *_TEXTS, *_NUMBERS)
        raise UsageError(
            f"no run has a metric or parameter {name!r}",
            hint=spelling_hint(name, names, f"there are {_join_first(names)}"),
        )

    def has(self, name: str) -> str:
        """The condition that a run has a metric.

        With EXISTS, SQLite walks through the runs, and may stop after the first few.
        """
        if name in self.known.metrics:
            self.values += ["metric", name]
            return _HAS_METRIC
        metrics = tuple(self.known.metrics)
        raise UsageError(
            f"no run has a metric {name!r}",
            hint=spelling_hint(name, metrics, f"there are {_join_first(metrics) or 'none'}"),
        )

    def _best_of(self, pattern: str) -> str:
        """The table of the best value of each run, over the steps that a pattern is for."""
        if ("metric", pattern) in self.tables:
            return self.tables["metric", pattern]
        found = matching(pattern, self.known.metrics)
        if not found:
            metrics = tuple(name for name in self.known.metrics if ":" in name)
            raise UsageError(
                f"no run has a metric like {pattern!r}",
                hint=f"`*` stands for steps, as in train/*:auc; "
                f"there are {_join_first(metrics) or 'none'}",
            )
        direction = self.known.direction(found)
        if direction is None:
            raise UsageError(
                f"no direction is declared for {short_name(pattern)}, "
                f"so none of {_join_first(found)} is the best",
                hint=f"write `metrics: {{{short_name(pattern)}: {{direction: up}}}}` (or down) "
                f"into the pipeline file, or name one of them",
            )
        self.best_of[pattern] = direction
        table = self.tables["metric", pattern] = f"t{len(self.tables)}"
        best = {"up": "max", "down": "min"}[direction]
        self.joins.append(f" LEFT JOIN {_BEST_OF.format(best=best)} AS {table}")
        self.joins.append(f" ON {table}.run = runs.id")
        # As JSON: a statement takes some hundred values, and a matrix may make 10,000 steps.
        self.joined += ["metric", json.dumps(found)]
        return table

    def _table(self, kind: str, name: str) -> str:
        table = self.tables.get((kind, name))
        if table is None:
            table = self.tables[kind, name] = f"t{len(self.tables)}"
            condition = f"{table}.run = runs.id AND {table}.name = {_NAME_ID}"
            self.joins.append(f" LEFT JOIN {kind}s AS {table} ON {condition}")
            self.joined += [kind, name]
        return table


def _is_text(formula: Formula) -> bool:
    match formula:
        case Constant(value=str()):
            return True
        case Name(name=name):
            return name in _TEXTS
        case Listing(items=items):
            return any(map(_is_text, items))
        case _:
            return False


def _join_first(names: Sequence[str]) -> str:
    # A project may have hundreds of metrics; a hint is one line.
    listing = ", ".join(names[:20])
    if len(names) > 20:
        listing += ", ..."
    return listing
