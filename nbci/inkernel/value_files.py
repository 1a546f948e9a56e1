"""The files of values: a pickle and its buffers, laid out so that they can be mapped.

A file is named by its digest.
"""

from __future__ import annotations

import concurrent.futures
import functools
import importlib.machinery
import importlib.util
import io
import mmap
import os
import pickle
import struct
import tempfile
from typing import Any

from .definitions import find
from .forms import SMALL_BYTES, Refused

MAGIC = b"NBCIVAL2"
NAMED = b"NBCIVAL3"
"""How a file begins whose pickle names lists and the like that the notebook's cells made."""
HEAD = struct.Struct("<8sQQ")
ENTRY = struct.Struct("<QQ")
ALIGNMENT = 64
PIECE = 1 << 20
UNDIGESTED = ".value-"
"""How the names of files begin that are being written, or whose digest is not known yet."""


class Stream:
    """A pickle while it is made: its bytes, in pieces, and the buffers beside them.

    What is large is not copied.
    """

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.small: list[bytes] = []
        self.nbytes = 0
        self.buffers: list[Any] = []
        self.refs: list[str] = []
        self.reads: list[str] = []
        self.named = False

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.nbytes += size
        # joined when there is something large: a value may have millions of small writes
        if size < PIECE:
            self.small.append(bytes(data))
        else:
            self.flush()
            if not isinstance(data, (bytes, bytearray)):
                data = bytes(data)  # a view of memory that the pickler may use again
            self.pieces.append(data)
        return size

    def flush(self) -> None:
        if self.small:
            self.pieces.append(b"".join(self.small))
            self.small = []

    def add_buffer(self, buffer: Any) -> bool:
        """Keep the buffer beside the pickle, or say that it belongs into it."""
        # true has pickle write it in band: `buffer_callback` in Python's documentation
        if memoryview(buffer).nbytes < SMALL_BYTES:
            return True
        self.buffers.append(buffer)
        return False

    def laid_out(self) -> tuple[Any, ...]:
        """All bytes of the file one after the other, and their number."""
        self.flush()
        raws = self.raw_buffers()
        offset = HEAD.size + ENTRY.size * len(raws) + self.nbytes
        head = [HEAD.pack(NAMED if self.named else MAGIC, self.nbytes, len(raws))]
        body: list[Any] = []
        for raw in raws:
            # Arrow's format recommends 64 bytes; numpy needs the alignment of its types
            start = -(-offset // ALIGNMENT) * ALIGNMENT
            body += [b"\0" * (start - offset), raw]
            head.append(ENTRY.pack(start, raw.nbytes))
            offset = start + raw.nbytes
        return [b"".join(head), *self.pieces, *body], offset

    def raw_buffers(self) -> list[Any]:
        """The bytes of the buffers, without copies of them."""
        return [buffer.raw() for buffer in self.buffers]

    def holds(self, secrets: list[str]) -> bool:
        """Whether one of the secrets stands in it: as text, or as characters of any usual width."""
        wanted: set[bytes] = set()
        for secret in secrets:
            wanted |= spellings(secret)
        if not wanted:
            return False
        self.flush()
        for view in views_of([*self.pieces, *self.raw_buffers()]):
            if stands_in(wanted, view):
                return True
        return False


def spellings(secret: str) -> set[bytes]:
    """A secret's bytes in every width.

    Without the zeros around them: then plain text is the same in both byte orders.
    """
    words = {os.fsencode(secret)}
    for code in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        words.add(secret.encode(code, "surrogatepass").strip(b"\0"))
    for order in ("little", "big"):
        # an array of 64-bit numbers
        wide = b"".join(ord(char).to_bytes(8, order) for char in secret)
        words.add(wide.strip(b"\0"))
    return words - {b""}


def stands_in(wanted: set[bytes], view: memoryview) -> bool:
    # in pieces, so that nothing large is copied; they overlap, since a secret may lie across two
    overlap = max(map(len, wanted)) - 1
    for start in range(0, view.nbytes, PIECE):
        part = bytes(view[start : start + PIECE + overlap])
        if any(word in part for word in wanted):
            return True
    return False


@functools.lru_cache(maxsize=1)
def hasher_of(path: str, abi: str) -> Any:
    """BLAKE3 from the extension in nbci's own environment; None for an interpreter of another make.

    It is loaded under a name of ours, so the user's own `import blake3` is what it would be without
    nbci.
    """
    if importlib.machinery.EXTENSION_SUFFIXES[:1] != [abi]:
        return None
    try:
        loader = importlib.machinery.ExtensionFileLoader("_nbci.blake3", path)
        spec = importlib.util.spec_from_loader(loader.name, loader)
        # The spec is there, as a loader is given.
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # see above
        loader.exec_module(module)
    except ImportError:
        return None
    return module.blake3


class Files:
    """Where values are written; `blake3` is the path and the make of nbci's own BLAKE3.

    `undigested` names the files that this interpreter can write, but not digest: nbci gives them
    their names.
    """

    def __init__(self, folder: str, blake3: list[str]) -> None:
        self.folder = folder
        self.undigested: list[str] = []
        self.hasher = functools.partial(hasher_of, *blake3)

    def write(self, stream: Stream) -> tuple[Any, ...]:
        """The name of the file, which is its digest when that is known, and its size."""
        name, size = write_file(self.folder, stream, self.hasher())
        if name.startswith(UNDIGESTED):
            self.undigested.append(name)
        return name, size

    def discard(self) -> None:
        """Remove what has no digest, and will get none."""
        for name in self.undigested:
            os.unlink(os.path.join(self.folder, name))


def write_file(folder: str, stream: Stream, hasher: Any) -> tuple[Any, ...]:
    """Write the stream to a file named by its digest; gives digest and size.

    Nothing is left of what fails. Without a hasher the file keeps the temporary name that it was
    written under, which begins with UNDIGESTED.
    """
    pieces, size = stream.laid_out()
    os.makedirs(folder, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix=UNDIGESTED, dir=folder)
    try:
        try:
            name = write_pieces(handle, pieces, hasher)
        finally:
            os.close(handle)
        if hasher is None:
            return os.path.basename(path), size
        os.makedirs(os.path.join(folder, name[:2]), exist_ok=True)
        # read-only: the file is named by its content
        os.chmod(path, 0o444)
        os.replace(path, path_of(folder, name))
    except BaseException:
        if os.path.exists(path):
            os.unlink(path)
        raise
    return name, size


def write_pieces(handle: int, pieces: list[Any], hasher: Any) -> str:
    """Write the pieces one after the other, and digest them meanwhile.

    Both let go of the interpreter's lock, so that they run side by side.
    """
    views = views_of(pieces)
    if hasher is None:
        write_views(handle, views)
        return ""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        digest = thread.submit(digest_of, views, hasher)
        write_views(handle, views)
        return digest.result()


def views_of(pieces: list[Any]) -> list[memoryview]:
    """The pieces as bytes, whatever they are made of."""
    return [memoryview(piece).cast("B") for piece in pieces]


def digest_of(views: list[Any], hasher: Any) -> str:
    digest = hasher()
    for view in views:
        digest.update(view)
    return str(digest.hexdigest())


def write_views(handle: int, views: list[Any]) -> None:
    """Write the views; small ones that follow each other by one call of the system."""
    small: list[Any] = []
    for view in views:
        if view.nbytes < PIECE // 16:
            small.append(view)
            continue
        write_all(handle, memoryview(b"".join(small)))
        small = []
        write_all(handle, view)
    write_all(handle, memoryview(b"".join(small)))


def write_all(handle: int, view: memoryview) -> None:
    while view.nbytes:
        view = view[os.write(handle, view) :]


def has_file(folder: str, digest: str) -> bool:
    """Whether the value still has its file: what is mapped outlives it."""
    return os.path.exists(path_of(folder, digest))


def path_of(folder: str, digest: str) -> str:
    return os.path.join(folder, digest[:2], digest[2:])


class Mapped:
    """A value's file, mapped; `data` is private to this process.

    Only what is written to is ever copied. nbci verifies the digest before anything of it runs, and
    says whether it is `whole`.
    """

    def __init__(self, folder: str, digest: str, whole: bool) -> None:
        self.path = path_of(folder, digest)
        try:
            with open(self.path, "rb") as file:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise Refused("missing: " + self.path + " (" + why + ")") from None
        self.kind = self.data[: len(MAGIC)]
        if not whole or self.kind not in (MAGIC, NAMED):
            raise Refused("altered: " + self.path)
        self.length, self.count = HEAD.unpack_from(self.data)[1:]

    def load(self) -> dict[str, Any]:
        """The group of values in it."""
        whole = memoryview(self.data)
        start = HEAD.size + ENTRY.size * self.count
        buffers = []
        for number in range(self.count):
            offset, size = ENTRY.unpack_from(self.data, HEAD.size + ENTRY.size * number)
            buffers.append(whole[offset : offset + size])
        text = whole[start : start + self.length]
        # `pickle.loads` is quicker: only files that name objects need the class in Python
        load: Any = pickle.loads
        if self.kind == NAMED:
            load = load_named
        group: dict[str, Any] = load(text, buffers=buffers)
        return group


def load_named(text: Any, *, buffers: Any) -> Any:
    return Loader(io.BytesIO(text), buffers=buffers).load()


class Loader(pickle.Unpickler):
    """Finds what the notebook's cells made by its address."""

    def persistent_load(self, address: Any) -> Any:
        return find(*address)
