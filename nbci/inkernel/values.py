"""Saves variables to files and loads them again, with sharing, by-reference classes and digests that repeat."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import mmap
import os
import pickle
import struct
import sys
import tempfile
import types
from typing import Any

MAGIC = b"NBCIVAL1"
HEAD = struct.Struct("<8sQQ")
ENTRY = struct.Struct("<QQ")
ALIGNMENT = 64
CHUNK = 4 << 20
DIGESTING_THREADS = 2
CELL_FILES = (os.path.join(tempfile.gettempdir(), "ipykernel_"), "<ipython-input-")
"""How the names of cells' code begin; they hold the process id or a count, and digests must repeat."""
BASIC = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, range, slice, type)
CALLABLE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)

state: dict[str, Any] = {"by_reference": frozenset(), "step": "", "loaded": {}}
"""What loading leaves for saving: fingerprints of the loaded groups by their names."""


class Refused(Exception):
    """A value that must not be saved, though it could be."""


def main() -> dict[str, Any]:
    space: dict[str, Any] = sys.modules["__main__"].__dict__
    return space


def main_globals() -> dict[str, Any]:
    """What functions that step cells defined have as their globals after loading: the notebook's own."""
    return main()


class MainGlobals:
    """Stands for the notebook's namespace in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (main_globals, ())


def set_function(function: Any, parts: tuple[Any, ...]) -> None:
    """Fill in a function as cloudpickle does, but leave names alone that the notebook has already."""
    from cloudpickle.cloudpickle import _function_setstate  # type: ignore[import-untyped]  # it has no types

    plain, slots = parts
    slots = dict(slots)
    for name, value in slots.get("__globals__", {}).items():
        if name != "__builtins__":
            function.__globals__.setdefault(name, value)
    slots["__globals__"] = {}
    _function_setstate(function, (plain, slots))


def view(base: Any, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...], dtype: Any) -> Any:
    """An array that shares the memory of `base`."""
    import numpy

    return numpy.ndarray(shape, dtype, buffer=base, offset=offset, strides=strides)


def pickler(file: Any, buffers: Any, shared: Any = (), canonical: bool = False, seen: set[int] | None = None) -> Any:
    """A cloudpickle pickler that knows the notebook; a function, since cloudpickle may arrive after this module.

    `shared` are ids of numpy base arrays whose views keep sharing; `canonical` is for fingerprints: a form that
    reading a table does not change; `seen` collects ids of the arrays inside pandas tables.
    """
    if "cloudpickle" not in sys.modules and "_nbci.facts" in sys.modules:
        sys.modules["_nbci.facts"].baseline.add("cloudpickle")
    import cloudpickle  # type: ignore[import-untyped]  # it has no types

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, (type, types.FunctionType)):
                return self.reduce_definition(obj)
            if isinstance(obj, types.CodeType) and obj.co_filename.startswith(CELL_FILES):
                obj = obj.replace(co_filename="<step " + state["step"] + ">")
                return cloudpickle.Pickler.dispatch_table[types.CodeType](obj)
            if isinstance(obj, io.IOBase) and not isinstance(obj, (io.StringIO, io.BytesIO)):
                raise Refused("an open file belongs to the process that opened it")
            if seen is not None and is_index(obj):
                seen.update((id(obj._data), id(obj._values)))
            special = self.reduce_table(obj) if is_table(obj) else self.reduce_view(obj)
            return special if special is not None else cloudpickle.Pickler.reducer_override(self, obj)

        def reduce_definition(self, obj: Any) -> Any:
            if obj.__module__ == "__main__":
                first = obj.__qualname__.partition(".")[0]
                if first in state["by_reference"] and found(obj):
                    self.refs.add(first)
                    return NotImplemented
                if isinstance(obj, type):
                    repeatable_id(obj)
            reduced = cloudpickle.Pickler.reducer_override(self, obj)
            if isinstance(obj, types.FunctionType) and obj.__globals__ is main() and len(reduced) == 6:
                arguments = (reduced[1][0], MainGlobals(), *reduced[1][2:])
                return (reduced[0], arguments, *reduced[2:5], set_function)
            return reduced

        def reduce_table(self, obj: Any) -> Any:
            if seen is not None:
                seen.add(id(obj._metadata))
                seen.update(id(array) for array in getattr(getattr(obj, "_mgr", None), "arrays", ()))
            return canonical_table(obj) if canonical else None

        def reduce_view(self, obj: Any) -> Any:
            if not shared or type(obj).__name__ != "ndarray":
                return None
            base = base_of(obj)
            if id(base) not in shared or base is obj:
                return None
            offset = obj.__array_interface__["data"][0] - base.__array_interface__["data"][0]
            return (view, (base, offset, obj.shape, obj.strides, obj.dtype))

    made = Pickler(file, protocol=5, buffer_callback=buffers)
    made.refs = set()
    return made


def found(obj: Any) -> bool:
    """Whether the notebook's namespace has this very class or function under its name."""
    here = main().get(obj.__qualname__.partition(".")[0])
    for part in obj.__qualname__.split(".")[1:]:
        here = getattr(here, part, None)
    return here is obj


def repeatable_id(obj: type) -> None:
    """Give a class its identity for cloudpickle from where it was defined, not at random, so that digests repeat."""
    from cloudpickle import cloudpickle as inner

    try:
        by_class, by_id = inner._DYNAMIC_CLASS_TRACKER_BY_CLASS, inner._DYNAMIC_CLASS_TRACKER_BY_ID
    except AttributeError:
        return
    if obj in by_class:
        return
    number = 0
    while "%s/%s#%d" % (state["step"], obj.__qualname__, number) in by_id:
        number += 1
    name = "%s/%s#%d" % (state["step"], obj.__qualname__, number)
    by_class[obj] = name
    by_id[name] = obj


def of_pandas(obj: Any) -> bool:
    return type(obj).__module__.partition(".")[0] == "pandas"


def is_table(obj: Any) -> bool:
    return of_pandas(obj) and type(obj).__name__ in ("DataFrame", "Series")


def is_index(obj: Any) -> bool:
    return of_pandas(obj) and hasattr(obj, "get_indexer") and hasattr(obj, "_data")


def plain_column(values: Any) -> Any:
    """A column's values, contiguous, so that their bytes do not depend on how pandas lays its blocks out."""
    import numpy

    return numpy.ascontiguousarray(values) if type(values) is numpy.ndarray else values


def canonical_table(obj: Any) -> tuple[Any, ...]:
    if type(obj).__name__ == "Series":
        return (tuple, (("Series", obj.index, obj.name, plain_column(obj._values), dict(obj.attrs)),))
    columns = [plain_column(obj.iloc[:, position]._values) for position in range(obj.shape[1])]
    return (tuple, (("DataFrame", obj.index, obj.columns, columns, dict(obj.attrs)),))


def base_of(array: Any) -> Any:
    """The array that owns the memory."""
    while type(getattr(array, "base", None)).__name__ == "ndarray":
        array = array.base
    return array


def is_mutable(obj: Any) -> bool:
    if isinstance(obj, BASIC + CALLABLE) or (callable(obj) and hasattr(obj, "__qualname__")):
        return False
    module = (type(obj).__module__ or "").partition(".")[0]
    if module in (
        "datetime",
        "decimal",
        "fractions",
        "uuid",
        "pathlib",
        "re",
        "enum",
        "zoneinfo",
        "logging",
        "pyarrow",
        "_nbci",
    ):
        return False
    if module == "numpy" and type(obj).__name__ != "ndarray":
        return False
    if module == "pandas" and (hasattr(obj, "get_indexer") or type(obj).__name__.endswith("Dtype")):
        return False
    return not any(kind.__name__ == "Enum" for kind in type(obj).__mro__)


class Probe:
    """One value as a trial dump sees it: the mutable objects that it is made of, and its arrays by base."""

    def __init__(self, value: Any) -> None:
        self.in_tables: set[int] = set()
        made = pickler(Nowhere(), lambda buffer: None, seen=self.in_tables)
        made.dump(value)
        memo = made.memo.copy()
        self.keep = memo
        self.parts: set[int] = set()
        self.arrays: list[Any] = []
        for entry in memo.values():
            obj = entry[1]
            if not is_mutable(obj) or id(obj) in self.in_tables:
                continue
            self.parts.add(id(obj))
            if type(obj).__name__ == "ndarray" and obj.flags.writeable:
                self.arrays.append(obj)


class Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def shared_bases(probes: list[Any]) -> tuple[Any, ...]:
    """Ids of the bases that several arrays look into, and the base objects, which must stay alive."""
    by_base: dict[int, Any] = {}
    for probe in probes:
        for array in probe.arrays:
            base = base_of(array)
            if base.flags.c_contiguous and base.flags.writeable and not base.dtype.hasobject:
                by_base.setdefault(id(base), (base, set()))[1].add(id(array))
    kept = {key: base for key, (base, arrays) in by_base.items() if len(arrays) > 1}
    return frozenset(kept), kept


def groups_of(values: dict[str, Any]) -> tuple[Any, ...]:
    """Names that share mutable objects, together; and the numpy bases that their arrays share."""
    probes = {name: Probe(value) for name, value in values.items()}
    shared, keep = shared_bases(list(probes.values()))
    parent = {name: name for name in values}

    def root(name: Any) -> Any:
        while parent[name] != name:
            name = parent[name]
        return name

    owner: dict[int, str] = {}
    for name, probe in sorted(probes.items()):
        keys = probe.parts | {id(base_of(array)) for array in probe.arrays if id(base_of(array)) in shared}
        for key in keys:
            first = owner.setdefault(key, name)
            if root(first) != root(name):
                parent[max(root(first), root(name))] = min(root(first), root(name))
    together: dict[str, list[str]] = {}
    for name in sorted(values):
        together.setdefault(root(name), []).append(name)
    return sorted(tuple(names) for names in together.values()), shared, (probes, keep)


class Digester:
    """A file that only digests."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=32)

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return len(data)


def fingerprint(values: dict[str, Any], shared: frozenset[Any]) -> str:
    """A digest that the same values in this kernel always have, whatever was merely read of them."""
    digester = Digester()
    buffers: list[Any] = []
    pickler(digester, buffers.append, shared, canonical=True).dump(values)
    for buffer in buffers:
        raw = buffer.raw()
        digester.hash.update(struct.pack("<Q", raw.nbytes))
        digester.hash.update(raw)
    return digester.hash.hexdigest()


def fingerprints(values: dict[str, Any]) -> dict[str, Any]:
    names, shared, _keep = groups_of(values)
    return {group: fingerprint({name: values[name] for name in group}, shared) for group in names}


def write_file(folder: str, values: dict[str, Any], shared: frozenset[Any], secrets: list[Any]) -> tuple[Any, ...]:
    """Write a group to a file named by its digest; gives digest, size and the definitions it refers to."""
    stream, buffers = io.BytesIO(), []  # type: tuple[io.BytesIO, list[Any]]
    made = pickler(stream, buffers.append, shared)
    made.dump(values)
    raws = [buffer.raw() for buffer in buffers]
    pickled = stream.getbuffer()
    offset = HEAD.size + ENTRY.size * len(raws) + pickled.nbytes
    head = [HEAD.pack(MAGIC, pickled.nbytes, len(raws))]
    places = []
    for raw in raws:
        start = -(-offset // ALIGNMENT) * ALIGNMENT
        places.append((start - offset, raw))
        head.append(ENTRY.pack(start, raw.nbytes))
        offset = start + raw.nbytes
    os.makedirs(folder, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix=".value-", dir=folder)
    try:
        pieces = head + [pickled] + [piece for gap, raw in places for piece in (b"\0" * gap, raw)]
        with concurrent.futures.ThreadPoolExecutor(DIGESTING_THREADS) as threads:
            digest = tree_digest(pieces, threads)  # hashlib lets go of the lock: this goes on while the file is written
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            name = digest()
        if holds(path, secrets):
            raise Refused("secret")
        os.makedirs(os.path.join(folder, name[:2]), exist_ok=True)
        os.chmod(path, 0o444)
        os.replace(path, os.path.join(folder, name[:2], name[2:]))
    except BaseException:
        if os.path.exists(path):
            os.unlink(path)
        raise
    return name, offset, sorted(made.refs)


def holds(path: str, secrets: list[Any]) -> bool:
    """Whether the file has one of the secrets in it, as text of any usual width."""
    wanted = [secret.encode(code) for secret in secrets for code in ("utf-8", "utf-16-le", "utf-32-le")]
    if not wanted:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(word) >= 0 for word in wanted)


def tree_digest(pieces: list[Any], threads: Any) -> Any:
    """Begin to digest the bytes of the pieces one after the other; the answer gives the digest when it is called.

    SHA-256 of the SHA-256 digests of every CHUNK bytes; nbci.store.files computes the same of a file.
    """
    chunks: list[list[Any]] = [[]]
    room = CHUNK
    for piece in pieces:
        view = memoryview(piece).cast("B")
        while view.nbytes:
            if not room:
                chunks.append([])
                room = CHUNK
            part = view[:room]
            chunks[-1].append(part)
            room -= part.nbytes
            view = view[part.nbytes :]
    parts = [threads.submit(chunk_digest, chunk) for chunk in chunks]
    return lambda: hashlib.sha256(b"".join(part.result() for part in parts)).hexdigest()


def chunk_digest(views: list[Any]) -> bytes:
    digest = hashlib.sha256()
    for view in views:
        digest.update(view)
    return digest.digest()


def read_file(folder: str, digest: str, verified: bool) -> dict[str, Any]:
    """The group in that file, its digest verified before anything of it runs, unless nbci has done that before.

    Buffers are mapped, private to this process: what is only read is never copied.
    """
    path = os.path.join(folder, digest[:2], digest[2:])
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError) as error:
        raise Refused("missing: " + path + " (" + (getattr(error, "strerror", None) or str(error)) + ")") from None
    if not verified:
        with concurrent.futures.ThreadPoolExecutor(DIGESTING_THREADS) as threads:
            if tree_digest([data], threads)() != digest:
                raise Refused("altered: " + path)
    magic, length, count = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise Refused("altered: " + path)
    whole = memoryview(data)
    start = HEAD.size + ENTRY.size * count
    buffers = []
    for number in range(count):
        offset, size = ENTRY.unpack_from(data, HEAD.size + ENTRY.size * number)
        buffers.append(whole[offset : offset + size])
    group: dict[str, Any] = pickle.loads(whole[start : start + length], buffers=buffers)
    return group


def load(  # noqa: PLR0917  # called with a JSON document, by name
    folder: str, takes: list[Any], gives: list[Any], by_reference: list[Any], step: str, verified: list[str]
) -> dict[str, Any]:
    """Put the named values into the user's namespace; `takes` are `[name, digest]`, `verified` digests that hold."""
    seen = frozenset(verified)
    state["by_reference"] = frozenset(by_reference)
    state["step"] = step
    wanted: dict[str, list[str]] = {}
    for name, digest in takes:
        wanted.setdefault(digest, []).append(name)
    arrived: dict[str, Any] = {}
    for digest, names in sorted(wanted.items()):
        try:
            group = read_file(folder, digest, digest in seen)
            arrived.update({name: group[name] for name in names})
        except Refused as error:
            return {"integrity": str(error), "names": names}
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            return {"unloadable": type(error).__name__ + ": " + str(error), "names": names}
    main().update(arrived)
    both = {name: value for name, value in arrived.items() if name in set(gives)}
    state["loaded"] = fingerprints(both) if both else {}
    return {}


def qualified(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    return module + kind.__qualname__


def unsaveable(values: dict[str, Any]) -> list[Any]:
    """The names that cannot be dumped, each with its type and why."""
    problems = []
    for name, value in sorted(values.items()):
        try:
            pickler(Nowhere(), lambda buffer: None).dump(value)
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            why = str(error) if isinstance(error, Refused) else type(error).__name__ + ": " + str(error)
            problems.append({"name": name, "type": qualified(value), "why": why})
    return problems


def save(  # noqa: PLR0917  # called with a JSON document, by name
    folder: str,
    takes: list[Any],
    gives: list[str],
    optional: list[str],
    secrets: list[str],
    by_reference: list[str],
    step: str,
) -> dict[str, Any]:
    """Save the values of `gives`; `takes` are the references that were loaded, returned for what did not change."""
    state["by_reference"], state["step"] = frozenset(by_reference), step
    values = {name: main()[name] for name in list(gives) + list(optional) if name in main()}
    missing = [name for name in gives if name not in values]
    if missing:
        return {"missing": missing}
    problems = unsaveable(values)
    if problems:
        return {"unsaveable": problems}
    taken = {ref["name"]: ref for ref in takes}
    groups, shared, _keep = groups_of(values)
    refs: list[Any] = []
    for names in groups:
        group = {name: values[name] for name in names}
        if unchanged(group, names, shared):
            refs.extend(taken[name] for name in names)
            continue
        try:
            digest, size, definitions = write_file(folder, group, shared, secrets)
        except Refused:
            return {"secret": culprits(group, secrets)}
        for name in names:
            kind = qualified(values[name])
            ref = {"name": name, "object": digest, "bytes": size, "type": kind, "group": names, "refs": definitions}
            refs.append(ref)
    return {"gives": refs}


def unchanged(group: dict[str, Any], names: tuple[str, ...], shared: Any) -> bool:
    """Whether these names came as one group, and are what they were."""
    return names in state["loaded"] and fingerprint(group, shared) == state["loaded"][names]


def culprits(group: dict[str, Any], secrets: list[Any]) -> list[Any]:
    """The names of a refused group whose own bytes hold a secret."""
    found_in = []
    for name, value in sorted(group.items()):
        stream, buffers = io.BytesIO(), []  # type: tuple[io.BytesIO, list[Any]]
        pickler(stream, buffers.append).dump(value)
        texts = [stream.getvalue()] + [bytes(buffer.raw()) for buffer in buffers]
        wanted = [secret.encode(code) for secret in secrets for code in ("utf-8", "utf-16-le", "utf-32-le")]
        if any(word in text for word in wanted for text in texts):
            found_in.append({"name": name, "type": qualified(value)})
    return found_in or [{"name": name, "type": qualified(value)} for name, value in sorted(group.items())]
