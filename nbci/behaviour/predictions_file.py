"""Read a file of predictions: Parquet, CSV or JSON lines, by its name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbci.behaviour.predictions import predictions_of
from nbci.errors import StepError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from nbci.behaviour.predictions import Predictions
    from nbci.plan.model import PlannedStep

LIBRARIES = ("numpy", "pyarrow", "scipy")


def check_reader(steps: Iterable[PlannedStep]) -> None:
    """UsageError where a step declares predictions and what reads them is not installed."""
    for step in steps:
        if step.predictions is not None and step.action != "skip":
            check_libraries(f"step {step.name}")


def check_libraries(source: str) -> None:
    """UsageError where what reads predictions for `source` is not installed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{source}: predictions need {', '.join(missing)}, not installed here",
            hint="pip install 'nbci[behaviour]'",
        )


def read_predictions(path: Path, source: str, *, suffix: str | None = None) -> Predictions:
    """The predictions in the file, which errors call `source`.

    `suffix` tells the format of a file that is kept under another name. UsageError where a library
    that reads or compares them is not installed, StepError for a file that holds no predictions.
    """
    check_libraries(source)
    import pyarrow as pa

    read = _READERS.get(suffix or path.suffix)
    if read is None:
        raise StepError(
            f"the predictions in {source}: a file of this name is not read",
            hint=f"write one of {', '.join(_READERS)}",
        )
    try:
        table = read(path)
    except FileNotFoundError as error:
        raise StepError(
            f"the step declares predictions in {source}, and has not written the file",
            hint="write it in one of the step's cells, or take away `predictions`",
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise StepError(f"the predictions in {source} cannot be read: {error}") from error
    return predictions_of(table, source)


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    # Each distinct text is held once, not a million times. `read_table` would look at the file's
    # path as well, take `year=2026` in it for a column, and import the whole of pyarrow.dataset.
    texts = []
    for column in parquet.read_schema(path):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts.append(column.name)
    with parquet.ParquetFile(path, read_dictionary=texts) as file:
        return file.read()


def _read_csv(path: Path) -> pa.Table:
    from pyarrow import csv

    # `NA` is Namibia as often as nothing; pandas and R write an empty field.
    convert = csv.ConvertOptions(
        null_values=["", "NaN", "nan"], strings_can_be_null=True, auto_dict_encode=False
    )
    return csv.read_csv(path, convert_options=convert)


def _read_json_lines(path: Path) -> pa.Table:
    from pyarrow import json

    return json.read_json(path)


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
