"""The Jupyter kernels that are installed on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import UsageError, nearest

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec


def installed_kernels() -> tuple[str, ...]:
    """The names of the installed kernels, sorted."""
    from jupyter_client.kernelspec import KernelSpecManager

    return tuple(sorted(KernelSpecManager().find_kernel_specs()))


def kernel_language(name: str) -> str:
    """The language of an installed kernel, in lower case; raises UsageError when there is none of that name."""
    return str(find_spec(name).language).lower()


def find_spec(name: str) -> KernelSpec:
    """The kernel's specification; raises UsageError that lists what is installed."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return KernelSpecManager().get_kernel_spec(name)
    except (NoSuchKernel, ValueError) as error:
        installed = installed_kernels()
        close = nearest(name, installed)
        listed = ", ".join(installed) or "none"
        raise UsageError(
            f"there is no kernel named `{name}`; installed are: {listed}",
            hint=f"did you mean `{close}`?" if close else "install the kernel, or choose one of these in the notebook",
        ) from error
    except OSError as error:
        raise UsageError(f"the specification of the kernel `{name}` cannot be read: {error}") from error
