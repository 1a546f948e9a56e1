"""A notebook's `predict` for callers of any thread; its kernel is started again when it dies."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError, IntegrityError, Location, UsageError
from nbci.graph import by_name
from nbci.kernels.job import KernelJob, ProgramCell
from nbci.kernels.kernel_manager import StartFailed
from nbci.kernels.predictor_kernel import (
    CellRaised,
    PredictFailed,
    PredictorGone,
    PredictorKernel,
)
from nbci.kernels.specs import kernel_language
from nbci.notebook.read import parse_notebook
from nbci.pipeline.models import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from nbci.kernels.predictor_kernel import Arrays
    from nbci.pipeline.models import PredictNotebook

_LONGEST_PAUSE_SECONDS = 30.0
_NOT_FOR_KERNELS = ("NBCI_SERVE_TOKEN", "NBCI_SIGNING_KEY", "PROMETHEUS_MULTIPROC_DIR")
"""What is the server's own: a notebook could send the one on, and write into the other."""
_DEFAULT_KERNEL = "python3"


class Predictor:
    """Answers with a notebook's `predict`, from the start of its kernel to `close`."""

    def __init__(
        self, notebook: PredictNotebook, environ: Mapping[str, str], log: Callable[..., None]
    ) -> None:
        """Start the kernel and run the cells; `log` is called when it dies and is there again.

        UsageError for a kernel that is no Python's or not installed, IntegrityError where a cell
        raises, InfrastructureError where no kernel comes up.
        """
        self._notebook = notebook
        self._outputs = by_name(notebook.signature.outputs)
        self._job = _job(notebook, environ)
        self._log = log
        self._kernel: PredictorKernel | None = None
        # Its own: the caller's loop may stand still while a model is loaded.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="predictor", daemon=True
        )
        self._thread.start()
        self._keeping: asyncio.Task[None] | None = None
        try:
            self._wait_for(self._begin())
        except BaseException:
            self._end_loop()
            raise

    @property
    def is_ready(self) -> bool:
        """Whether there is a kernel now."""
        return self._kernel is not None

    def answer(self, outputs: Sequence[str], inputs: Arrays, seconds: float) -> list[Any]:
        """The arrays of these outputs, as the signature has them.

        PredictFailed where `predict` raises or answers otherwise; PredictorGone where its kernel
        dies, is just started again, or has no answer after `seconds`.
        """
        kernel = self._kernel
        if kernel is None:
            raise PredictorGone("the model's kernel is started again")
        described, buffers = self._wait_for(self._ask(kernel, inputs, outputs, seconds))
        try:
            return [self._array(each, buffers) for each in described]
        # It comes from code of the user, which may answer anything.
        except (LookupError, TypeError, ValueError) as error:
            raise PredictFailed("`predict` gives no arrays") from error

    def close(self) -> None:
        """End the kernel."""
        self._wait_for(self._end())
        self._end_loop()

    def _array(self, described: Mapping[str, Any], buffers: list[bytes]) -> Any:
        import numpy as np

        name = described["name"]
        expected = self._outputs[name]
        if "missing" in described:
            raise PredictFailed(f"`predict` gives no {expected}")
        dtype, shape = described["dtype"], tuple(described["shape"])
        # numpy takes a list without elements for one of floats.
        if 0 in shape:
            dtype = expected.dtype
        found = Tensor(name=name, dtype=dtype, shape=shape)
        if not expected.fits(found):
            raise PredictFailed(f"`predict` gives {found}, and the signature says {expected}")
        if "texts" in described:
            return np.array(described["texts"], dtype=object).reshape(shape)
        buffer = buffers.pop(0)
        if found.dtype == "str":
            return np.empty(shape, dtype=object)
        return np.frombuffer(buffer, np.dtype(dtype).newbyteorder("<")).reshape(shape)

    async def _begin(self) -> None:
        kernel = await self._start()
        self._keeping = asyncio.ensure_future(self._keep(kernel))

    async def _start(self) -> PredictorKernel:
        kernel = PredictorKernel(self._job)
        try:
            await kernel.start()
        except BaseException as error:
            # Also where this is cancelled: no process is left.
            await kernel.end()
            raise self._told(error) from error
        self._kernel = kernel
        return kernel

    def _told(self, error: BaseException) -> BaseException:
        """The error in words of a user; others are as they are."""
        if isinstance(error, CellRaised):
            return IntegrityError(
                f"the notebook does not come as far as its `predict`: {error}",
                where=Location(self._notebook.path),
                hint="its kernel needs the packages that it was promoted with",
            )
        if isinstance(error, StartFailed):
            return InfrastructureError(
                f"the kernel of {self._notebook.path} does not start: {error}"
            )
        return error

    async def _ask(self, kernel: PredictorKernel, *question: Any) -> Any:
        try:
            return await kernel.ask(*question)
        except PredictorGone:
            # It may take a moment to die, in which nobody else is to ask it.
            if self._kernel is kernel:
                self._kernel = None
            raise

    async def _keep(self, kernel: PredictorKernel) -> None:
        """Start a kernel whenever there is none any more, until this is cancelled."""
        while True:
            await asyncio.wait({kernel.died})
            self._kernel = None
            self._log("kernel died", notebook=self._notebook.path, status=kernel.died.result())
            await kernel.end()
            kernel = await self._start_again()
            self._log("kernel ready", notebook=self._notebook.path)

    async def _start_again(self) -> PredictorKernel:
        pause = 1.0
        # What is wrong may be the machine's: memory comes back when somebody else ends.
        while True:
            try:
                return await self._start()
            except (InfrastructureError, IntegrityError, UsageError, OSError) as error:
                self._log("kernel not started", notebook=self._notebook.path, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _end(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await kernel.end()

    def _wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _job(notebook: PredictNotebook, environ: Mapping[str, str]) -> KernelJob:
    folder = Path(notebook.folder)
    try:
        text = (folder / notebook.path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the notebook cannot be read: {error.strerror}", where=Location(notebook.path)
        ) from error
    parsed = parse_notebook(text, notebook.path)
    kernel = parsed.kernel_name or _DEFAULT_KERNEL
    language = kernel_language(kernel)
    if language != "python":
        raise UsageError(
            f"a model is served by a notebook in Python, not in {language}",
            where=Location(notebook.path),
        )
    cells = []
    for cell in parsed.cells:
        if cell.kind == "code" and cell.source.strip():
            cells.append(ProgramCell(role="functions", number=cell.number, source=cell.source))
    env = {name: value for name, value in environ.items() if name not in _NOT_FOR_KERNELS}
    # The folder is compared with the release again at the next start.
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return KernelJob(
        step=notebook.path,
        kernel_name=kernel,
        language=language,
        notebook_metadata=parsed.document.get("metadata", {}),
        cells=tuple(cells),
        project=folder,
        cwd=folder,
        env=env,
        values_folder=folder,
        spill_folder=folder,
        log_path=Path(os.devnull),
    )
