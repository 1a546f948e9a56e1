"""Jupyter's manager of a kernel, set up so that the kernel is private, and forked where it can."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from nbci.kernels.specs import spec_manager, spec_of

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

    from nbci.kernels.job import KernelJob
    from nbci.kernels.private import PrivateFolder
    from nbci.kernels.zygote.zygotes import Zygotes

# What jupyter_client and nbclient log would stand among the output of steps.
quiet = logging.getLogger("nbci.kernels.quiet")
quiet.addHandler(logging.NullHandler())
quiet.propagate = False


class StartFailed(Exception):
    """No kernel came up; the message says why."""


def new_manager(
    job: KernelJob, folder: PrivateFolder, marker: str, zygotes: Zygotes | None
) -> AsyncKernelManager:
    """The manager of a kernel that is to be started, with its sockets in the folder.

    With `zygotes` the kernel is forked from one of them where that can be.
    """
    # First: it imports parts of jupyter_client in the lean way, which the next line then finds.
    specs = spec_manager()
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager(kernel_name=job.kernel_name, kernel_spec_manager=specs, log=quiet)
    if job.interpreter is not None:
        # By its name, the manager would find installed kernels only.
        manager._kernel_spec = spec_of(job)  # noqa: SLF001
    manager.connection_file = str(folder.path / "kernel.json")
    # Sockets in a private folder, where their path fits: ports could be taken by others between
    # their choice and the kernel's bind, and every user of the machine can connect to them.
    if folder.is_short:
        manager.transport = "ipc"
        manager.ip = str(folder.path / "k")
    if zygotes is not None:
        manager.provisioner = _zygote_provisioner(job, manager, marker, zygotes)
    return manager


async def start_kernel(manager: AsyncKernelManager, **launch: Any) -> None:
    """Start a kernel without the 10 ms that jupyter_client sleeps after it for its own tests."""
    decorated = type(manager).start_kernel
    await getattr(decorated, "__wrapped__", decorated)(manager, **launch)


def _zygote_provisioner(
    job: KernelJob, manager: AsyncKernelManager, marker: str, zygotes: Zygotes
) -> Any:
    from nbci.kernels.zygote.environment_first import changes_environment_first, import_folders
    from nbci.kernels.zygote.imports import imports_of
    from nbci.kernels.zygote.provisioner import ZygoteProvisioner

    provisioner = ZygoteProvisioner(
        kernel_id=marker, kernel_spec=manager.kernel_spec, parent=manager
    )
    provisioner.zygotes = zygotes
    if job.language == "python":
        sources = [cell.source for cell in job.cells]
        provisioner.preloads = imports_of(sources)
        folders = import_folders(job.cwd, dict(job.env))
        provisioner.bare = changes_environment_first(sources, folders)
    return provisioner
