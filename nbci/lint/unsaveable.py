"""The rule about values that pass between steps and surely cannot be saved."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.dataflow.dotted import dotted_name
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import Flow
    from nbci.lint.notebook_facts import NotebookFacts

_OPEN_FILE = "an open file"
_LOCK = "a lock"
_WORKERS = "a pool of workers"

# What each of these returns holds something of its process, so no codec can write it down.
UNSAVEABLE = {
    "open": _OPEN_FILE,
    "io.open": _OPEN_FILE,
    "gzip.open": _OPEN_FILE,
    "bz2.open": _OPEN_FILE,
    "lzma.open": _OPEN_FILE,
    "tempfile.NamedTemporaryFile": _OPEN_FILE,
    "tempfile.TemporaryFile": _OPEN_FILE,
    "zipfile.ZipFile": "an open archive",
    "tarfile.open": "an open archive",
    "mmap.mmap": "a memory map",
    "os.popen": "a pipe",
    "os.scandir": "an open folder",
    "csv.reader": "a reader of an open file",
    "csv.writer": "a writer to an open file",
    "csv.DictReader": "a reader of an open file",
    "csv.DictWriter": "a writer to an open file",
    "re.finditer": "an iterator",
    "threading.Lock": _LOCK,
    "threading.RLock": _LOCK,
    "threading.Event": _LOCK,
    "threading.Condition": _LOCK,
    "threading.Semaphore": _LOCK,
    "threading.BoundedSemaphore": _LOCK,
    "threading.Thread": "a thread",
    "threading.local": "a thread's own data",
    "multiprocessing.Lock": _LOCK,
    "multiprocessing.Pool": _WORKERS,
    "concurrent.futures.ThreadPoolExecutor": _WORKERS,
    "concurrent.futures.ProcessPoolExecutor": _WORKERS,
    "queue.Queue": "a queue between threads",
    "sqlite3.connect": "a connection to a database",
    "socket.socket": "a socket",
    "socket.create_connection": "a socket",
    "subprocess.Popen": "a running process",
    "weakref.ref": "a weak reference",
}

_DATA_SET = "a tf.data set"
_MATRIX = "a matrix that xgboost writes to no file"

# As above, of libraries that are bound to their process; the kernel's module `learning` refuses
# the same.
UNSAVEABLE_OF_LIBRARIES = {
    "xgboost.QuantileDMatrix": _MATRIX,
    "xgboost.ExtMemQuantileDMatrix": _MATRIX,
    "tensorflow.Graph": "a TensorFlow graph",
    "tensorflow.compat.v1.Session": "an open TensorFlow session",
    "tensorflow.compat.v1.InteractiveSession": "an open TensorFlow session",
    "tensorflow.data.Dataset.from_tensor_slices": _DATA_SET,
    "tensorflow.data.Dataset.from_tensors": _DATA_SET,
    "tensorflow.data.Dataset.from_generator": _DATA_SET,
    "tensorflow.data.Dataset.list_files": _DATA_SET,
    "tensorflow.data.Dataset.range": _DATA_SET,
    "tensorflow.data.Dataset.zip": _DATA_SET,
    "tensorflow.data.TFRecordDataset": _DATA_SET,
    "tensorflow.data.TextLineDataset": _DATA_SET,
    "tensorflow.keras.utils.image_dataset_from_directory": _DATA_SET,
    "tensorflow.keras.utils.text_dataset_from_directory": _DATA_SET,
}

# What these methods of a tf.data set return is a tf.data set.
_OF_DATA_SETS = frozenset(
    "batch cache concatenate enumerate filter flat_map interleave map padded_batch prefetch repeat "
    "shard shuffle skip take unbatch window with_options".split()
)


def unsaveable_values(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield names that pass to a later step with a value that cannot be saved.

    Decided by the name's last value in the step: a generator, an open file, a lock.
    """
    if facts.flowing is None:
        return
    for step in facts.steps:
        flowed = facts.flow_of(step)
        cells = facts.own_cells(step)
        for give in flowed.gives:
            found = _last_value(give.name, cells)
            if found is None:
                continue
            kind = _kind(found, facts.imported_names, flowed.names.binds)
            if kind is None:
                continue
            takers = ", ".join(_takers(facts.flowing, step.name, give.name))
            yield Hit(
                message=f"`{give.name}` is {kind}, which cannot be saved, "
                f"and step {takers} takes it from step {step.name}",
                hint=_remedy(kind, give.name),
                cell=found.cell,
                line=found.value.lineno,
            )


def _takers(flowing: Flow, step: str, name: str) -> Iterator[str]:
    """The steps that take the value of this name from the step."""
    for other in flowing.steps:
        for take in other.takes:
            if take.name == name and step in take.givers:
                yield other.name
                break


def _remedy(kind: str, name: str) -> str:
    if kind == "a generator":
        return f"make it a list: `{name} = list(...)`"
    return "make it anew in the step that uses it, or in a function of the functions cell"


@dataclass(frozen=True, slots=True)
class _Bound:
    """A value that a statement binds: in which cell, from which expression, to which place."""

    cell: int
    value: ast.expr
    place: ast.Name
    entered: bool = False


def _last_value(name: str, cells: Mapping[int, ParsedCell]) -> _Bound | None:
    """Return the last value that is bound to the name; None when it cannot be determined."""
    found: _Bound | None = None
    for number, cell in cells.items():
        for node in _module_level(cell.tree.body):
            match node:
                case ast.Assign(targets=[ast.Name() as place], value=value) if place.id == name:
                    found = _Bound(number, value, place)
                case ast.AnnAssign(target=ast.Name() as place, value=ast.expr() as value) if (
                    place.id == name
                ):
                    found = _Bound(number, value, place)
                case ast.withitem(optional_vars=ast.Name() as place, context_expr=value) if (
                    place.id == name
                ):
                    found = _Bound(number, value, place, entered=True)
                case ast.Name(id=other, ctx=ast.Store() | ast.Del()) if other == name:
                    # the walk also visits the targets of the statements matched above; any other
                    # binding is unknown
                    if found is not None and found.place is not node:
                        found = None
                case (
                    ast.FunctionDef(name=other) | ast.ClassDef(name=other) | ast.alias(asname=other)
                ) if other == name:
                    found = None
    return found


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Yield statements and their parts in the order of the text.

    The insides of functions and classes are left out: they bind no names of the module.
    """
    # a stack in reverse gives the order of the text, which ast.walk does not keep
    pending: list[ast.AST] = list(reversed(body))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))


def _kind(found: _Bound, names: Mapping[str, str], bound: frozenset[str]) -> str | None:
    """Describe the value if it surely cannot be saved; `with lock as x` gives no lock."""
    if isinstance(found.value, ast.GeneratorExp):
        return "a generator"
    if not isinstance(found.value, ast.Call):
        return None
    maker = _maker(found.value)
    name = dotted_name(maker.func, names)
    if name in UNSAVEABLE_OF_LIBRARIES:
        return UNSAVEABLE_OF_LIBRARIES[name]
    # a method of this name, of something that is no data set, may return anything
    if maker is not found.value or name is None:
        return None
    if name == "open" and "open" in bound:
        return None
    kind = UNSAVEABLE.get(name)
    # a lock's `__enter__` returns a truth value
    if kind == _LOCK and found.entered:
        return None
    return kind


def _maker(call: ast.Call) -> ast.Call:
    """The call that a chain of a data set's methods begins with."""
    while True:
        match call.func:
            case ast.Attribute(value=ast.Call() as inner, attr=method) if method in _OF_DATA_SETS:
                call = inner
            case _:
                return call
