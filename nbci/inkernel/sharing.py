"""Which values share mutable objects: these are saved, digested and loaded together."""

from __future__ import annotations

import types
from typing import Any

from . import definitions
from .forms import base_of
from .pickling import pickler
from .value_files import Stream

BASIC = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    tuple,
    frozenset,
    range,
    slice,
    type,
    property,
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
KEPT_BYTES = 64 << 20
"""A trial dump that is no larger than this is what is written, unless it turns out that the value
shares.
"""


def is_mutable(obj: Any) -> bool:
    if isinstance(obj, types.FunctionType):
        return bool(obj.__dict__) and set(obj.__dict__) != {"__wrapped__"}
    if isinstance(obj, BASIC + CALLABLE) or (callable(obj) and hasattr(obj, "__qualname__")):
        return False
    module = (type(obj).__module__ or "").partition(".")[0]
    if module in IMMUTABLE_HOMES:
        return False
    if module == "numpy" and type(obj).__name__ != "ndarray":
        return module_holds_state(obj)
    if module == "pandas" and (hasattr(obj, "get_indexer") or type(obj).__name__.endswith("Dtype")):
        return False
    return not any(kind.__name__ == "Enum" for kind in type(obj).__mro__)


def module_holds_state(obj: Any) -> bool:
    """Whether one of numpy's own objects, which is no plain array, can be changed in place."""
    return type(obj).__name__ in (
        "memmap",
        "matrix",
        "recarray",
        "MaskedArray",
        "Generator",
        "RandomState",
    )


class Parts:
    """What a dump shows of a value: the mutable objects that it is made of, and its arrays."""

    def __init__(self, made: Any) -> None:
        self.keep = made.memo.copy()
        self.reads = set(made.reads)
        self.parts: set[int] = set()
        self.arrays: list[Any] = []
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
    """One value as a trial dump sees it; `dumped` is that dump, where it need not be made again."""

    def __init__(self, name: str, value: Any) -> None:
        stream, made = dump({name: value}, named=False)
        super().__init__(made)
        self.named = not self.parts.isdisjoint(definitions.containers)
        if self.named:
            stream, made = dump({name: value}, named=True)
            super().__init__(made)
        self.dumped: Any = stream if stream.nbytes + made.copied <= KEPT_BYTES else None


def dump(values: dict[str, Any], shared: Any = (), *, named: bool) -> tuple[Any, Any]:
    """The values as a stream, and the pickler that wrote it."""
    stream, made = dump_once(values, shared, named)
    places = definitions.places(values, lambda: {id(obj) for _, obj in made.memo.copy().values()})
    return dump_once({**values, **places}, shared, named) if places else (stream, made)


def dump_once(values: dict[str, Any], shared: Any, named: bool) -> tuple[Any, Any]:
    stream = Stream()
    made = pickler(stream, stream.add_buffer, shared, named=named)
    made.dump(values)
    stream.refs, stream.reads, stream.named = sorted(made.refs), sorted(made.reads), named
    return stream, made


def shared_bases(probes: list[Any]) -> tuple[Any, ...]:
    """Ids of the bases that several arrays look into, and the base objects, which must stay alive."""
    by_base: dict[int, Any] = {}
    for probe in probes:
        for array in probe.arrays:
            base = base_of(array)
            if (base.flags.c_contiguous or base.flags.f_contiguous) and base.flags.writeable:
                by_base.setdefault(id(base), (base, set()))[1].add(id(array))
    kept = {key: base for key, (base, arrays) in by_base.items() if len(arrays) > 1}
    return frozenset(kept), kept


class Groups:
    """Names that share mutable objects, together; `shared` are ids of the numpy bases that their
    arrays share.
    """

    def __init__(self, probes: dict[str, Any]) -> None:
        self.probes = probes
        self.shared: frozenset[int]
        self.shared, self.keep = shared_bases(list(probes.values()))
        parent = {name: name for name in probes}

        def root(name: Any) -> Any:
            while parent[name] != name:
                name = parent[name]
            return name

        owner: dict[int, str] = {}
        for name, probe in sorted(probes.items()):
            # each value names what the notebook's cells made, and shares it by that
            for key in (probe.parts - definitions.containers) | self.bases(name):
                first = owner.setdefault(key, name)
                if root(first) != root(name):
                    parent[max(root(first), root(name))] = min(root(first), root(name))
        together: dict[str, list[str]] = {}
        for name in sorted(probes):
            together.setdefault(root(name), []).append(name)
        self.names = sorted(tuple(names) for names in together.values())

    def bases(self, name: str) -> set[int]:
        """The shared bases that arrays of this value look into."""
        return {id(base_of(array)) for array in self.probes[name].arrays}.intersection(self.shared)

    def dumped(self, names: tuple[str, ...], values: dict[str, Any]) -> Any:
        """The group's pickle and buffers: those of the trial, where they say all."""
        probe = self.probes[names[0]]
        if (
            len(names) == 1
            and getattr(probe, "dumped", None) is not None
            and not self.bases(names[0])
        ):
            return probe.dumped
        named = any(getattr(self.probes[name], "named", False) for name in names)
        stream, _ = dump({name: values[name] for name in names}, self.shared, named=named)
        return stream
