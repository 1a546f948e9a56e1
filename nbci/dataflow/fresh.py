"""Finds names that cells run by every step bind to values never the same twice.

Such values are times, ids and random draws; the cells are those of parameters, imports and
functions. Every step runs these cells, while a notebook whose cells share a kernel runs them once.
"""

from __future__ import annotations

import ast
from types import MappingProxyType
from typing import TYPE_CHECKING

from nbci.dataflow.dotted import dotted_name, meanings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell

NONE_FRESH: Mapping[str, str] = MappingProxyType({})
_NEVER_TWICE = frozenset(
    "datetime.date.today datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow "
    "os.getpid os.getppid os.times os.urandom pandas.Timestamp.now pandas.Timestamp.today "
    "pandas.Timestamp.utcnow pendulum.now pendulum.today arrow.now arrow.utcnow "
    "tempfile.mkdtemp tempfile.mkstemp tempfile.mktemp threading.get_ident "
    "threading.get_native_id time.clock_gettime time.clock_gettime_ns time.monotonic "
    "time.monotonic_ns time.perf_counter time.perf_counter_ns time.process_time "
    "time.process_time_ns time.thread_time time.time time.time_ns uuid.uuid1 uuid.uuid4 "
    "uuid.uuid6 uuid.uuid7".split()
)
_WITHOUT_ARGUMENTS = frozenset(
    "numpy.random.PCG64 numpy.random.RandomState numpy.random.SeedSequence "
    "numpy.random.default_rng random.Random random.SystemRandom time.ctime time.gmtime "
    "time.localtime".split()
)
"""Calls that give something else each time only without an argument, such as a seed or a time."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DRAWING_MODULES = ("random.", "numpy.random.", "secrets.", "torch.rand")
# Functions of these modules that draw nothing: they set or read a generator's state, or make one.
_NO_DRAWS = frozenset(
    "seed setstate getstate set_state get_state compare_digest Generator MT19937 PCG64 "
    "PCG64DXSM Philox RandomState SFC64 SeedSequence default_rng Random SystemRandom".split()
)


def fresh_names(cells: Sequence[tuple[int, ParsedCell]]) -> dict[str, str]:
    """The names that cells (number, code) bind to values never the same twice, with their places.

    Values that are made of such values count as well: they are followed through assignments, and
    through functions and classes of these cells.
    """
    known = meanings(cell.tree for _, cell in cells)
    found: dict[str, str] = {}
    makers: set[str] = set()
    for number, cell in cells:
        for node in cell.tree.body:
            if _is_fresh(node, known, makers, found):
                found.update(dict.fromkeys(_bound_names(node), f"cell {number}"))
            # Only now: a function that draws gives fresh values to those that call it further down.
            if isinstance(node, _DEFINITIONS) and _draws_anywhere(node, known, makers):
                makers.add(node.name)
    return found


def fresh_calls(cells: Sequence[tuple[int, ParsedCell]]) -> dict[str, str]:
    """The functions called in cells (number, code) that give another value each time, with a place.

    Only calls that stand in the cells themselves are found, and only those of known libraries.
    """
    known = meanings(cell.tree for _, cell in cells)
    found: dict[str, str] = {}
    for number, cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Call) and _draws(node, known, set()):
                name = dotted_name(node.func, known) or ""
                found.setdefault(name, f"cell {number}")
    return found


def _is_fresh(
    node: ast.stmt, known: Mapping[str, str], makers: set[str], found: Mapping[str, str]
) -> bool:
    for part in _run_at_once(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in found:
            return True
        if _draws(part, known, makers):
            return True
    return False


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement that run with it.

    Of a function these are its decorators and defaults, not its body.
    """
    pending = [node]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += [*part.decorator_list, part.args]
        else:
            pending += ast.iter_child_nodes(part)


def _draws_anywhere(definition: ast.stmt, known: Mapping[str, str], makers: set[str]) -> bool:
    return any(_draws(part, known, makers) for part in ast.walk(definition))


def _draws(node: ast.AST, known: Mapping[str, str], makers: set[str]) -> bool:
    # A dataclass calls the factory for each instance.
    if isinstance(node, ast.keyword):
        return node.arg == "default_factory" and dotted_name(node.value, known) in _NEVER_TWICE
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id in makers:
        return True
    name = dotted_name(node.func, known) or ""
    # Without a second argument it formats the current time.
    if name == "time.strftime":
        return len(node.args) == 1
    if name in _WITHOUT_ARGUMENTS:
        return not node.args and not node.keywords
    drawn = name.startswith(_DRAWING_MODULES) and name.rpartition(".")[2] not in _NO_DRAWS
    return drawn or name in _NEVER_TWICE


def _bound_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, _DEFINITIONS):
        yield node.name
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
