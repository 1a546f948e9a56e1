"""Whether a value is what it was when it was loaded, without reading untouched memory again."""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
import weakref
from typing import Any

from . import definitions
from .forms import SMALL_BYTES
from .pickling import pickler
from .sharing import Parts

PAGES = "/proc/self/pagemap"
ENTRY_BYTES = 8
PART_BYTES = 1 << 18
FILE_PAGE = 1 << 61
PRESENT_OR_SWAPPED = 3 << 62


class Picture:
    """A group of values as one digest and its large arrays, in a form that reading does not change.

    The digest tells which names share objects, and which arrays share memory.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._dump(values, named=False)
        # Two lists that the notebook's cells made may be equal: which of them a name stands for
        # shows only in a pickle that names them. Naming asks for each object, so it comes second.
        if self._holds_containers():
            self._dump(values, named=True)
            self.hash.update(b"named")
        self.hash.update(repr(self.shared_memory()).encode())
        self.digest = self.hash.hexdigest()

    def _dump(self, values: dict[str, Any], *, named: bool) -> None:
        self.hash = hashlib.blake2b(digest_size=32)
        self.arrays: list[Any] = []
        self.visited: list[Any] = []
        self.made = pickler(self, self.add_buffer, picture=self, named=named)
        self.made.dump(values)

    def _holds_containers(self) -> bool:
        """Whether it has a plain list or the like as the notebook's cells made it."""
        containers = definitions.containers & definitions.addresses.keys()
        return bool(containers) and not containers.isdisjoint(self.made.memo.copy())

    def parts(self) -> Parts:
        """What the values are made of."""
        return Parts(self.made)

    def visit(self, array: Any, base: Any) -> None:
        if array.flags.writeable:
            self.visited.append(base)

    def shared_memory(self) -> list[int]:
        """For each array that looks into the memory of an earlier one, which and whose."""
        first: dict[int, int] = {}
        owners = [first.setdefault(id(base), number) for number, base in enumerate(self.visited)]
        pairs: list[int] = []
        for number, owner in enumerate(owners):
            if owner != number:
                pairs += (number, owner)
        return pairs

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return memoryview(data).nbytes

    def note(self, array: Any, exact: bool) -> tuple[Any, ...]:
        """Keep an array out of the pickle; gives what of it goes in.

        `exact`: so does the way it lies in memory.
        """
        self.arrays.append(array)
        layout: tuple[Any, ...] = ()
        if exact:
            layout = (array.strides, array.flags.writeable)
        return (("array", array.dtype, array.shape, *layout),)

    def add_buffer(self, buffer: Any) -> bool:
        """Keep a buffer out of the pickle that is no array."""
        raw = buffer.raw()
        if raw.nbytes < SMALL_BYTES or "numpy" not in sys.modules:
            return True
        self.arrays.append(sys.modules["numpy"].frombuffer(raw, "u1"))
        # its content is compared as an array's; the size keeps two buffers apart from one
        self.hash.update(b"%d" % raw.nbytes)
        return False


class LoadedGroup:
    """What is known of a loaded group, to be compared with the group at the step's end."""

    def __init__(self, picture: Picture, files: list[Any]) -> None:
        self.digest = picture.digest
        self.places = [place_of(array, files) for array in picture.arrays]

    def equals(self, picture: Picture) -> bool:
        """Whether the picture is of the very same values."""
        if picture.digest != self.digest or len(picture.arrays) != len(self.places):
            return False
        return all(place.holds(array) for place, array in zip(self.places, picture.arrays))


class Digested:
    """An array that lay in no file: its bytes are remembered by their digest."""

    def __init__(self, array: Any) -> None:
        self.digest = content_digest(array)

    def holds(self, array: Any) -> bool:
        return content_digest(array) == self.digest


class Place:
    """An array in a mapped file."""

    def __init__(self, file: MappedFile, array: Any) -> None:
        self.file = file
        self.low, self.high = bounds(array)
        self.start = start_of(array)
        self.strides, self.shape, self.dtype = array.strides, array.shape, array.dtype

    def holds(self, array: Any) -> bool:
        """Whether the array has the bytes that the file has there."""
        place = (start_of(array), array.strides, array.shape)
        is_same_place = place == (self.start, self.strides, self.shape)
        if is_same_place and self.file.is_clean(self.low, self.high):
            return True
        return array.dtype == self.dtype and same_bytes(array, self.file.array(self))


class MappedFile:
    """A mapped file whose arrays may be compared with what the file says.

    Both mappings share the same memory, as long as nobody writes to the first.
    """

    def __init__(self, path: str, data: Any) -> None:
        import numpy

        # a second mapping, which nobody can write to
        with open(path, "rb") as file:
            self.original = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(data)
        self.address = start_of(numpy.frombuffer(data, "u1"))
        # as long as the first mapping is alive, its addresses are nobody else's
        self.alive = weakref.ref(data)
        self.pages_tell: bool | None = None

    def array(self, place: Place) -> Any:
        """The array as the file has it."""
        import numpy

        offset = place.start - self.address
        flat = numpy.frombuffer(self.original, "u1")
        return numpy.ndarray(
            place.shape, place.dtype, buffer=flat, offset=offset, strides=place.strides
        )

    def is_clean(self, low: int, high: int) -> bool:
        """Whether the system says that no page between the addresses was written to.

        False when it cannot tell.
        """
        try:
            # asked once for each file: some systems hide the table, or leave the bit out
            if self.pages_tell is None:
                self.pages_tell = pages_tell(self)
            return self.alive() is not None and self.pages_tell and not private_pages(low, high)
        except OSError:
            return False


def place_of(array: Any, files: list[MappedFile]) -> Any:
    low, high = bounds(array)
    for file in files:
        if file.address <= low and high <= file.address + file.size:
            return Place(file, array)
    return Digested(array)


def start_of(array: Any) -> int:
    start: int = array.__array_interface__["data"][0]
    return start


def bounds(array: Any) -> tuple[int, int]:
    """The addresses between which the array lies."""
    low = high = start_of(array)
    for size, stride in zip(array.shape, array.strides):
        step = (size - 1) * stride
        if step < 0:
            low += step
        else:
            high += step
    return low, high + array.itemsize


def private_pages(low: int, high: int) -> bool:
    """Whether a page between the addresses is this process's own: written to since it was mapped.

    The first write to a page of a private mapping makes a copy of it, which belongs to no file any
    more: bit 61 of its entry (Linux, Documentation/admin-guide/mm/pagemap.rst). Raises OSError
    where there is no such table.
    """
    import numpy

    first, end = low // mmap.PAGESIZE, -(-high // mmap.PAGESIZE)
    with open(PAGES, "rb", buffering=0) as table:
        entries = numpy.frombuffer(
            os.pread(table.fileno(), (end - first) * ENTRY_BYTES, first * ENTRY_BYTES), "u8"
        )
    if len(entries) != end - first:
        raise OSError("the table of pages ends early")
    return bool(((entries & PRESENT_OR_SWAPPED != 0) & (entries & FILE_PAGE == 0)).any())


def pages_tell(file: MappedFile) -> bool:
    """Whether the table of pages knows a page of the file from one of this process's own."""
    import numpy

    data = file.alive()
    if data is None or len(data[:1]) != 1:  # reads a page, which is mapped only then
        return False
    own = numpy.ones(mmap.PAGESIZE, "u1")
    if not is_file_page(file.address):
        return False
    return private_pages(start_of(own), start_of(own) + own.nbytes)


def is_file_page(address: int) -> bool:
    with open(PAGES, "rb", buffering=0) as table:
        entry = os.pread(table.fileno(), ENTRY_BYTES, address // mmap.PAGESIZE * ENTRY_BYTES)
    value = int.from_bytes(entry, sys.byteorder)
    return bool(value & FILE_PAGE and value & PRESENT_OR_SWAPPED)


def same_bytes(left: Any, right: Any) -> bool:
    """Whether two arrays of one shape and type have the same bytes, NaN and padding included."""
    is_contiguous = left.flags.c_contiguous or left.flags.f_contiguous
    if left.ndim > 1 and left.strides == right.strides and is_contiguous:
        # row by row, an array in Fortran's order would be read with jumps
        left, right = left.ravel(order="K"), right.ravel(order="K")
    return all(a == b for a, b in zip(parts_of(left), parts_of(right)))


def parts_of(array: Any) -> Any:
    """The bytes of an array, some rows at a time."""
    if not array.ndim:
        yield array.tobytes()
        return
    # some rows at a time: the bytes of the whole array would be a second copy of it
    rows = max(1, PART_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()


def content_digest(array: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts_of(array):
        digest.update(part)
    return digest.digest()
