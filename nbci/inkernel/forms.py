"""Forms of arrays and tables: nothing is copied that can be mapped, and sharing is kept.

The functions that make objects again (`memory_view`, `from_memory`, `view`, `view_as`, `masked`,
`from_arrow`) stand in stored values by their names: a new name needs the old one beside it.
"""

from __future__ import annotations

import pickle
from typing import Any

SMALL_BYTES = 1 << 10
"""Arrays below this stand in the pickle: mapping many small ones costs more than it saves."""

EXPORTED = "biufcSU"
"""Kinds of numpy's types whose arrays it puts beside the pickle by itself.

Times and structures it would copy (`array_reduce_ex` in numpy's methods.c).
"""


class Refused(Exception):
    """A value that must not be saved, or a file of one that must not be loaded."""


def form_of(pickler: Any, obj: Any) -> Any:
    """How the object is reduced, or None: as it says itself."""
    kind = type(obj)
    home = str(kind.__module__)
    if kind is memoryview:
        return memory_view_form(obj)
    if home == "numpy" and kind.__name__ in ("ndarray", "memmap"):
        return array_form(pickler, obj)
    if home.startswith("numpy.ma") and kind.__name__ == "MaskedArray":
        return masked_form(obj)
    if home.partition(".")[0] == "pandas":
        return pandas_form(pickler, obj)
    if home == "pyarrow.lib" and hasattr(obj, "get_total_buffer_size"):
        return arrow_form(pickler, obj)
    if home.startswith("scipy.sparse") and pickler.picture is not None:
        return sparse_form(obj)
    return None


def memory_view_form(view: memoryview) -> tuple[Any, ...]:
    """A view of the same object, which goes with it.

    cloudpickle would make bytes of it without a word.
    """
    if not view.c_contiguous:
        raise TypeError(
            "a memoryview with gaps cannot be passed on; pass on the object that it looks into"
        )
    whole = memoryview(view.obj)
    if view.nbytes == whole.nbytes:
        start = 0
    elif view.readonly:
        if not whole.readonly:
            raise TypeError("a read-only memoryview of a part of an object cannot be passed on")
        return (memory_view, (bytes(view), (0, view.nbytes), view.format, view.shape, True))
    else:
        start = address(view) - address(whole)
    return (
        memory_view,
        (view.obj, (start, start + view.nbytes), view.format, view.shape, view.readonly),
    )


def address(view: memoryview) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def memory_view(
    obj: Any, place: tuple[int, int], form: str, shape: tuple[int, ...], readonly: bool
) -> memoryview:
    """The view of an object's bytes from the first place to the second."""
    view = memoryview(obj).cast("B")[slice(*place)]
    if form != "B" or len(shape) != 1:
        view = view.cast(form, shape)  # type: ignore[call-overload]  # any format
    return view.toreadonly() if readonly else view


def array_form(pickler: Any, array: Any) -> Any:
    base = base_of(array)
    if pickler.picture is not None:
        pickler.picture.visit(array, base)
    # numpy's own pickle writes each view as an array with memory of its own
    if id(base) in pickler.shared and base is not array:
        offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return (view, (base, offset, array.shape, array.strides, array.dtype))
    if array.dtype.hasobject or array.nbytes < SMALL_BYTES:
        return None
    if pickler.picture is not None:
        return (tuple, (pickler.picture.note(array, exact=True),))
    if type(array).__name__ == "memmap":
        return (view_as, (memory_form(pickler, array), type(array)))
    if array.dtype.kind in EXPORTED and is_contiguous(array):
        return None
    return memory_form(pickler, array)


def is_contiguous(array: Any) -> bool:
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


def memory_form(pickler: Any, array: Any) -> tuple[Any, ...]:
    """The array's memory beside the pickle; only what is not contiguous is copied."""
    import numpy

    order: Any = "C"
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        order = "F"
    if not is_contiguous(array):
        pickler.copied += array.nbytes
    flat: Any = numpy.asarray(array).ravel(order=order).view("u1")
    return (
        from_memory,
        (pickle.PickleBuffer(flat), array.dtype, array.shape, order, array.flags.writeable),
    )


def from_memory(
    memory: Any, dtype: Any, shape: tuple[int, ...], order: Any, writeable: bool
) -> Any:
    """The array in this memory."""
    import numpy

    array = numpy.frombuffer(memory, dtype).reshape(shape, order=order)
    # mapped memory can be written to, also where the array could not
    if array.flags.writeable and not writeable:
        array.flags.writeable = False
    return array


def view_as(reduced: tuple[Any, ...], kind: type) -> Any:
    """The array as one of numpy's own kinds of array."""
    return reduced[0](*reduced[1]).view(kind)


def view(
    base: Any, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...], dtype: Any
) -> Any:
    """An array that shares the memory of `base`."""
    import numpy

    # of any order, without a copy: `shared_bases` are contiguous
    flat = base.ravel(order="K")
    if dtype.hasobject:
        return numpy.lib.stride_tricks.as_strided(flat[offset // dtype.itemsize :], shape, strides)
    return numpy.ndarray(shape, dtype, buffer=flat.view("u1"), offset=offset, strides=strides)


def masked_form(array: Any) -> tuple[Any, ...]:
    """Data and mask as arrays: numpy's own pickle copies both into bytes."""
    _ = array.fill_value  # numpy fills it in when it is first read
    settings = {name: array.__dict__[name] for name in ("_fill_value", "_hardmask", "_optinfo")}
    own_mask = None  # `nomask` is a scalar
    if type(array._mask).__name__ == "ndarray":
        own_mask = array._mask
    return (masked, (type(array), array._data, own_mask, settings))


def masked(kind: type, data: Any, mask: Any, settings: dict[str, Any]) -> Any:
    """A masked array of its parts."""
    array = data.view(kind)
    if mask is not None:
        array._mask = mask
    array._sharedmask = False
    array.__dict__.update(settings)
    return array


def arrow_form(pickler: Any, obj: Any) -> Any:
    """A slice of an Arrow table or column without the rest of the memory that it looks into."""
    import pyarrow

    if not isinstance(obj, (pyarrow.Table, pyarrow.ChunkedArray)):
        return None
    # a slice of a small part keeps the whole buffers alive, and pyarrow's pickle writes them all
    if obj.get_total_buffer_size() <= obj.nbytes + obj.nbytes // 4 + SMALL_BYTES:
        return None
    table = obj
    if not isinstance(obj, pyarrow.Table):
        table = pyarrow.Table.from_arrays([obj], ["column"])
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    pickler.copied += obj.nbytes
    return (from_arrow, (pickle.PickleBuffer(sink.getvalue()), table is obj))


def from_arrow(memory: Any, is_table: bool) -> Any:
    """The Arrow table, or its one column, in this memory."""
    import pyarrow

    table = pyarrow.ipc.open_stream(pyarrow.py_buffer(memory)).read_all()
    if is_table:
        return table
    return table.column(0)


def sparse_form(matrix: Any) -> Any:
    """For pictures: a sparse matrix without what it noted of itself while it was read."""
    parts = getattr(matrix, "__dict__", None)
    if not parts or "_shape" not in parts:
        return None
    plain = {name: part for name, part in parts.items() if name not in FOUND_BY_SCIPY}
    return (tuple, ((type(matrix), plain),))


FOUND_BY_SCIPY = frozenset(
    "_has_sorted_indices _has_canonical_format has_sorted_indices has_canonical_format".split()
)
"""What a sparse matrix notes of itself when somebody asks it."""


def pandas_form(pickler: Any, obj: Any) -> Any:
    """Tables as they are; for pictures in a form that does not tell how they lay out their blocks.

    pandas joins and splits blocks when a table is read.
    """
    if type(obj).__name__ in ("DataFrame", "Series"):
        arrays = getattr(getattr(obj, "_mgr", None), "arrays", ())
        pickler.seen.add(id(obj._metadata))
        pickler.seen.update(map(id, arrays))
        if pickler.picture is None:
            return None
        return picture_of_table(pickler.picture, obj)
    if type(obj).__name__.endswith("Dtype"):
        return without_cache(obj.__reduce_ex__(5))
    if hasattr(obj, "get_indexer") and "_data" in vars(obj):  # asking a range would make its array
        pickler.seen.update((id(obj._data), id(obj._values)))
    return None


def without_cache(reduced: Any) -> Any:
    """A pandas type as it was before somebody asked it something."""
    if not isinstance(reduced, tuple) or len(reduced) < 3:
        return None
    plain, slots = reduced[2], None
    if isinstance(reduced[2], tuple):
        plain, slots = reduced[2]
    plain, slots = attributes_without_cache(plain), attributes_without_cache(slots)
    state: Any = plain
    if slots:
        state = (plain, slots)
    return (*reduced[:2], state, *reduced[3:])


def attributes_without_cache(attributes: Any) -> Any:
    """The attributes without `_cache`; None for none."""
    found = dict(attributes or {})
    found.pop("_cache", None)
    return found or None


def picture_of_table(picture: Any, obj: Any) -> tuple[Any, ...]:
    attributes = dict(obj.attrs)
    if type(obj).__name__ == "Series":
        values = column(picture, obj._values)
        return (tuple, (("Series", obj.index, obj.name, values, attributes),))
    columns = [column(picture, obj.iloc[:, position]._values) for position in range(obj.shape[1])]
    return (tuple, (("DataFrame", obj.index, obj.columns, columns, attributes),))


def column(picture: Any, values: Any) -> Any:
    """A column's values; how far apart they lie in memory is the table's own business."""
    import numpy

    if type(getattr(values, "_ndarray", None)) is numpy.ndarray:
        return (type(values), values.dtype, column(picture, values._ndarray))
    if type(values) is not numpy.ndarray:
        return values
    if not values.dtype.hasobject and values.nbytes >= SMALL_BYTES:
        return picture.note(values, exact=False)
    return numpy.ascontiguousarray(values)


def base_of(array: Any) -> Any:
    """The array that owns the memory."""
    while type(getattr(array, "base", None)).__name__ == "ndarray":
        array = array.base
    return array
