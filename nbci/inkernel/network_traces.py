"""Servers that a step reaches by sockets, without those that it runs itself."""

from __future__ import annotations

import os
import weakref
from typing import Any

from .counted_paths import full_path
from .file_traces import written

LOGGING = ("/dev/log", "/run/systemd/", "/var/run/systemd/", "/var/run/syslog")
"""Sockets by which programs tell the system what they do; nothing of a step comes from there."""
INTERNET = ("inet", "inet6")
"""Address families in which an address is a host and a port."""
OF_THE_SYSTEM = ("netlink", "alg")
"""Those by which a program speaks to the kernel that it runs on: netlink(7), and its ciphers.

Nothing leaves the machine by them, and the second number of a netlink address is no port.
"""

network: set[str] = set()
ports: set[int] = set()
servers: list[Any] = []


def note_address(connecting: Any, address: Any) -> None:
    """Note what a socket reaches; `sendto` gives no address where it was connected before."""
    if address is None:
        return
    family = family_name(connecting)
    if family in INTERNET:
        if address[1] not in own_ports():
            network.add(str(address[0]))
    elif family == "unix":
        note_socket_file(os.fsdecode(address))
    elif family not in OF_THE_SYSTEM:
        # A virtual machine's host, a network card, a bus: the first part tells which (`vsock 2`).
        place = address
        if isinstance(address, tuple):
            place = address[0]
        network.add(f"{family} {place}")


def family_name(connecting: Any) -> str:
    """The name of a socket's address family as `socket` has it, without `AF_`, in lower case."""
    import socket

    number = int(connecting.family)
    try:
        return socket.AddressFamily(number).name[len("AF_") :].lower()
    except ValueError:  # the system knows more families than Python
        return f"address family {number}"


def note_socket_file(name: str) -> None:
    """Note a server on this machine, by the path of its socket or its abstract name, unix(7)."""
    path = socket_name(name)
    if path.startswith(LOGGING) or is_of_workers(name) or is_made_here(path):
        return
    network.add(path)


def is_of_workers(name: str) -> bool:
    """Whether `multiprocessing` reaches its own processes by it."""
    return "/pymp-" in name or "\0listener-" in name


def socket_name(name: str) -> str:
    """The full path; `@` and the name for an abstract one, as `ss` and `/proc/net/unix` show it."""
    if name.startswith("\0"):
        return "@" + name[1:]
    return full_path(name)


def is_made_here(path: str) -> bool:
    """Whether the step made it, or a folder that it lies in."""
    while path not in written:
        above = os.path.dirname(path)
        if above == path or not above:
            return False
        path = above
    return True


def note_server(bound: Any, address: Any) -> None:
    """What the step itself serves is no network."""
    family = family_name(bound)
    if family in INTERNET:
        ports.add(address[1])
        servers.append(weakref.ref(bound))
    elif family == "unix" and address:
        written.add(socket_name(os.fsdecode(address)))


def own_ports() -> set[int]:
    """Those that were asked for, and those that the system chose."""
    for server in servers:
        bound = server()
        if bound is not None and bound.fileno() >= 0:
            ports.add(bound.getsockname()[1])
    return ports
