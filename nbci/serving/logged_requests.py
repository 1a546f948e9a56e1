"""Requests as they were logged, put together again as a model takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError
from nbci.logged.labels import Labels, join_labels
from nbci.logged.log_files import LABEL, REQUEST, ROW, input_column
from nbci.serving.datatypes import BYTES, dtype_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from nbci.logged.window import LogWindow
    from nbci.serving.signature import ModelSignature, TensorSpec

_HASH = re.compile("[0-9a-f]{32}")


class LoggedRequest(Struct, frozen=True):
    """One request; `inputs` is None where the log has not all of them. `labels` are of its rows."""

    id: str
    inputs: dict[str, npt.NDArray[np.generic]] | None
    labels: list[Any]


def logged_requests(
    window: LogWindow, signature: ModelSignature, labels: Labels
) -> Iterator[LoggedRequest]:
    """The requests of the window, in the order of the log.

    UsageError where inputs were left out of the log or hashed, so that nobody can ask again.
    """
    if not window.rows:
        return
    _check_inputs(window, signature)
    names = [input_column(spec.name) for spec in signature.inputs]
    columns = list(dict.fromkeys((REQUEST, ROW, *names)))
    waiting: list[pa.RecordBatch] = []
    for batch in join_labels(window, labels, columns):
        starts = _starts(batch)
        # What a request began with may be in the batch before.
        for start, end in zip(starts, [*starts[1:], batch.num_rows], strict=True):
            if waiting and batch.column(ROW)[start].as_py() == 0:
                yield _request(waiting, signature)
                waiting = []
            waiting.append(batch.slice(start, end - start))
    if waiting:
        yield _request(waiting, signature)


def _check_inputs(window: LogWindow, signature: ModelSignature) -> None:
    import pyarrow as pa

    where = Location(str(window.folder))
    for spec in signature.inputs:
        types = window.types.get(input_column(spec.name))
        if types is None:
            raise UsageError(
                f"the log has no values of the input {spec.name!r}, so its requests cannot be sent "
                "again",
                where=where,
                hint="`nbci serve` was told to leave it out, or logged another model",
            )
        if spec.datatype != BYTES and any(pa.types.is_string(type_) for type_ in types):
            raise _hashed(spec, where)
        if sum(size == -1 for size in spec.shape[1:]) > 1:
            raise UsageError(
                f"the input {spec.name!r} has several axes of any size, of which the log keeps no "
                "lengths",
                where=where,
            )


def _hashed(spec: TensorSpec, where: Location) -> UsageError:
    return UsageError(
        f"the log has hashes of the input {spec.name!r}, so its requests cannot be sent again",
        where=where,
        hint="`nbci serve --hash` wrote them",
    )


def _starts(batch: pa.RecordBatch) -> list[int]:
    """Where requests begin in a batch; its own beginning counts as one."""
    import numpy as np

    starts: Sequence[int] = np.flatnonzero(batch.column(ROW).to_numpy() == 0).tolist()
    if starts and starts[0] == 0:
        return list(starts)
    return [0, *starts]


def _request(parts: list[pa.RecordBatch], signature: ModelSignature) -> LoggedRequest:
    import pyarrow as pa

    table = pa.Table.from_batches(parts)
    labels = table.column(LABEL).to_pylist()
    identity = str(table.column(REQUEST)[0].as_py())
    inputs = {}
    for spec in signature.inputs:
        column = table.column(input_column(spec.name))
        # A version that took no such input answered, or the beginning is before the window.
        if column.null_count or table.column(ROW)[0].as_py() != 0:
            return LoggedRequest(identity, None, labels)
        tensor = _tensor(column.combine_chunks(), spec)
        if tensor is None:
            return LoggedRequest(identity, None, labels)
        inputs[spec.name] = tensor
    return LoggedRequest(identity, inputs, labels)


def _tensor(values: pa.Array, spec: TensorSpec) -> npt.NDArray[np.generic] | None:
    """The values as the model takes them; None where they do not fit it."""
    import pyarrow as pa

    rows = len(values)
    # The log keeps each row flat, whatever axes it has.
    if pa.types.is_fixed_size_list(values.type):
        values = values.flatten()
    flat = values.to_numpy(zero_copy_only=False)
    # Hashes of texts are texts: only their form tells.
    if spec.datatype == BYTES and len(flat) and all(map(_is_hash, flat)):
        raise _hashed(spec, Location("the request log"))
    dtype = dtype_of(spec.datatype)
    shape = list(spec.shape)
    # One axis of any size follows from the number of values; of two, the first is that of rows.
    if shape.count(-1) > 1:
        shape[0] = rows
    try:
        tensor: npt.NDArray[np.generic] = flat.astype(dtype, copy=False).reshape(shape)
    except ValueError:
        return None
    return tensor


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None
