"""Which values share mutable objects: these are saved, digested and loaded together."""

from __future__ import annotations

import types
from typing import Any

from . import definitions
from .forms import base_of
from .pickling import pickler
from .value_files import Stream

BASIC = (
    *(str, bytes, int, float, complex, bool, type(None)),
    *(tuple, frozenset, range, slice, type, property),
)
PLAIN = (str, bytes, int, float, complex, tuple, frozenset)
CALLABLE = (
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.CodeType,
    staticmethod,
    classmethod,
)
IMMUTABLE_HOMES = frozenset(
    "datetime decimal fractions uuid pathlib re enum zoneinfo logging pyarrow _nbci".split(),
)
MUTABLE_OF_NUMPY = frozenset("memmap matrix recarray MaskedArray Generator RandomState".split())
"""Of numpy's own objects, besides plain arrays: what can be changed in place."""
KEPT_BYTES = 64 << 20
"""A trial dump that is no larger is what is written, unless the value shares objects."""


def is_mutable(obj: Any) -> bool:
    """Whether two values that hold this object must keep holding the same one."""
    if isinstance(obj, types.FunctionType):
        # `functools.wraps` sets the one attribute that nobody changes
        return bool(obj.__dict__) and set(obj.__dict__) != {"__wrapped__"}
    if isinstance(obj, BASIC + CALLABLE) or (callable(obj) and hasattr(obj, "__qualname__")):
        return False
    module = (type(obj).__module__ or "").partition(".")[0]
    if module in IMMUTABLE_HOMES:
        return False
    if module == "numpy" and type(obj).__name__ != "ndarray":
        return type(obj).__name__ in MUTABLE_OF_NUMPY
    if module == "pandas" and (hasattr(obj, "get_indexer") or type(obj).__name__.endswith("Dtype")):
        return False  # an index and a type
    return not any(kind.__name__ == "Enum" for kind in type(obj).__mro__)


class Parts:
    """What a dump shows of a value: the mutable objects that it is made of, and its arrays."""

    def __init__(self, made: Any) -> None:
        self.keep = made.memo.copy()
        self.reads = set(made.reads)
        self.parts: set[int] = set()
        self.arrays: list[Any] = []
        # Asked once for each type: a value may have millions of objects. Functions differ.
        kinds: dict[type, Any] = dict.fromkeys(PLAIN, False)
        for _, obj in self.keep.values():
            if id(obj) in made.held:
                self.parts.add(id(obj))
                continue
            mutable = kinds.get(type(obj))
            if mutable is None:
                mutable = is_mutable(obj)
                if type(obj) is not types.FunctionType:
                    kinds[type(obj)] = mutable
            if mutable and id(obj) not in made.seen:
                self.parts.add(id(obj))
                if type(obj).__name__ == "ndarray" and obj.flags.writeable:
                    self.arrays.append(obj)


class Probe(Parts):
    """One value as a trial dump sees it; `stream` is that dump, where it need not be made again."""

    def __init__(self, name: str, value: Any) -> None:
        stream, made = dump({name: value}, named=False)
        super().__init__(made)
        # Naming asks for each object, which takes its time: only where such objects are in it.
        self.named = not self.parts.isdisjoint(definitions.containers)
        if self.named:
            stream, made = dump({name: value}, named=True)
            super().__init__(made)
        self.stream: Any = None
        if stream.nbytes + made.copied <= KEPT_BYTES:
            self.stream = stream


def dump(values: dict[str, Any], shared: Any = (), *, named: bool) -> tuple[Any, Any]:
    """The values as a stream, and the pickler that wrote it."""
    stream, made = dump_once(values, shared, named)
    replacements = definitions.replacements(values, lambda: ids_in(made))
    if replacements:
        return dump_once({**values, **replacements}, shared, named)
    return stream, made


def ids_in(made: Any) -> set[int]:
    """The ids of all objects that the pickler wrote."""
    # the memo of the C pickler can only be copied: it maps ids to (index, object)
    return {id(obj) for _, obj in made.memo.copy().values()}


def dump_once(values: dict[str, Any], shared: Any, named: bool) -> tuple[Any, Any]:
    stream = Stream()
    made = pickler(stream, stream.add_buffer, shared, named=named)
    made.dump(values)
    stream.refs, stream.reads, stream.named = sorted(made.refs), sorted(made.reads), named
    return stream, made


def shared_bases(probes: list[Any]) -> tuple[Any, ...]:
    """Ids of the bases that several arrays look into, and the bases, which must stay alive."""
    by_base: dict[int, Any] = {}
    for probe in probes:
        for array in probe.arrays:
            base = base_of(array)
            # others cannot be handed on whole: their arrays are copied, each for itself
            if (base.flags.c_contiguous or base.flags.f_contiguous) and base.flags.writeable:
                by_base.setdefault(id(base), (base, set()))[1].add(id(array))
    kept = {}
    for key, (base, arrays) in by_base.items():
        if len(arrays) > 1:
            kept[key] = base
    return frozenset(kept), kept


class Groups:
    """Names that share mutable objects, together.

    `shared` are ids of the numpy bases that their arrays share.
    """

    def __init__(self, probes: dict[str, Any]) -> None:
        self.probes = probes
        self.shared: frozenset[int]
        self.shared, self.keep = shared_bases(list(probes.values()))
        leaders = self._leaders()
        together: dict[str, list[str]] = {}
        for name in sorted(probes):
            together.setdefault(leaders[name], []).append(name)
        # sorted: the order of groups decides the order of references, which digests hold
        self.names = sorted(map(tuple, together.values()))

    def _leaders(self) -> dict[str, str]:
        """For each name the first one of its group (union-find)."""
        parent = dict(zip(self.probes, self.probes))

        def root(name: str) -> str:
            while parent[name] != name:
                name = parent[name]
            return name

        owner: dict[int, str] = {}
        for name, probe in sorted(self.probes.items()):
            # each value names what the notebook's cells made, and shares it by that
            for key in (probe.parts - definitions.containers) | self.bases(name):
                first = root(owner.setdefault(key, name))
                own = root(name)
                if first != own:
                    parent[max(first, own)] = min(first, own)
        return dict(zip(self.probes, map(root, self.probes)))

    def bases(self, name: str) -> set[int]:
        """The shared bases that arrays of this value look into."""
        owners = map(base_of, self.probes[name].arrays)
        return set(map(id, owners)) & self.shared

    def stream_of(self, names: tuple[str, ...], values: dict[str, Any]) -> Any:
        """The group's pickle and buffers: those of the trial, where they say all."""
        probe = self.probes[names[0]]
        trial = getattr(probe, "stream", None)
        if len(names) == 1 and trial is not None and not self.bases(names[0]):
            return trial
        named = any(getattr(self.probes[name], "named", False) for name in names)
        group = dict(zip(names, map(values.__getitem__, names)))
        stream, _ = dump(group, self.shared, named=named)
        return stream
