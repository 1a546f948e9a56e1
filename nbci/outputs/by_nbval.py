"""Have nbval compare outputs by its own rules, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError, UsageError
from nbci.formatting.text import last_part
from nbci.outputs.comparison import difference
from nbci.outputs.kinds import as_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.outputs.comparison import ForNbval
    from nbci.records.output_check import OutputDifference

LIBRARIES = ("nbval", "PIL")
_REPLAY = Path(__file__).with_name("nbval_replay.py")
_PASSED, _FAILED = 0, 1
"""Exit codes of pytest when it could run what it was given."""
_TIMEOUT_SECONDS = 600
_SHOWN_LINES = 60
_SHOWN_BYTES = 2_000


def check_libraries(source: str) -> None:
    """UsageError where what compares outputs is not installed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{source} checks outputs, and {' and '.join(missing)} is not installed here",
            hint="pip install 'nbci[nbval]'",
        )


async def compare_by_nbval(
    left: Sequence[ForNbval], environ: Mapping[str, str]
) -> list[OutputDifference]:
    """What differs by nbval's rules; InfrastructureError where it cannot say.

    The process is imported nbval's weight (pytest, coverage) away from this one, and gets the
    variables `environ`.
    """
    with tempfile.TemporaryDirectory(prefix="nbci-nbval-") as folder:
        found = await _run(Path(folder), left, environ)
    differences = []
    for at, text in found:
        message, *lines = filter(None, map(str.rstrip, text.splitlines()))
        each = left[at]
        message = f"nbval: {message.strip()}"
        differences.append(difference(each.pair, each.kind, message, lines[:_SHOWN_LINES]))
    return differences


async def _run(
    folder: Path, left: Sequence[ForNbval], environ: Mapping[str, str]
) -> list[tuple[int, str]]:
    """The places in `left` of what differs, each with nbval's words."""
    cells = [_cell(at, as_outputs(each.kind, each.stored)) for at, each in enumerate(left)]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    shown_now = [as_outputs(each.kind, each.now) for each in left]
    (folder / "stored.ipynb").write_text(json.dumps(document), encoding="utf-8")
    (folder / "now.json").write_text(json.dumps(shown_now), encoding="utf-8")

    # What a project sets for its own tests is nothing to these.
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTEST")}
    process = await asyncio.create_subprocess_exec(
        # -P: the script's folder is not where it finds modules
        *(sys.executable, "-P", str(_REPLAY), "stored.ipynb", "now.json", "answer.json"),
        cwd=folder,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise InfrastructureError(f"nbval took longer than {_TIMEOUT_SECONDS} s") from error
    finally:
        # Also when this is cancelled: nobody else would end it.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in (_PASSED, _FAILED):
        words = last_part(printed.decode(errors="replace"), _SHOWN_BYTES)
        raise InfrastructureError(f"nbval could not compare the outputs: {words}")
    answer: list[tuple[int, str]] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return answer


def _cell(at: int, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"cell-{at}",
        # Otherwise an error among the outputs would end nbval's comparison.
        "metadata": {"tags": ["raises-exception"]},
        "source": "",
        # nbval compares nothing of a cell that never ran.
        "execution_count": 1,
        "outputs": outputs,
    }
