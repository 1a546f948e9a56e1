"""How many kernels may run at once with the files that this process may open."""

from __future__ import annotations

import resource

from nbci.errors import InfrastructureError

OF_NBCI = 48
"""What is open whatever the number of kernels."""
OF_A_KERNEL = 28
"""Sockets, pipes and locks on this side; a kernel itself opens fewer than the two together."""


def kernels_at_once(wanted: int) -> int:
    """As many as are wanted, or as the limit of open files allows, which is raised if it can be.

    Raises InfrastructureError where there is no room for one.
    """
    need = OF_NBCI + OF_A_KERNEL * wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return wanted
    # A process may raise its own limit as far as the hard one: setrlimit(2).
    most = hard
    if hard == resource.RLIM_INFINITY:
        most = need
    if most > soft:
        soft = min(need, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = (soft - OF_NBCI) // OF_A_KERNEL
    if possible < 1:
        raise InfrastructureError(
            f"only {soft} files may be open at once, and a run needs {OF_NBCI + OF_A_KERNEL}",
            hint="raise the limit: ulimit -n 1024",
        )
    return min(wanted, possible)
