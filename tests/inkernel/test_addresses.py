"""Addresses that sockets reach, by the family of the socket."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from nbci.inkernel import network_traces


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_traces, "network", set())
    monkeypatch.setattr(network_traces, "ports", set())
    monkeypatch.setattr(network_traces, "servers", [])


def connected(family: int, address: Any) -> set[str]:
    network_traces.note_address(SimpleNamespace(family=family), address)
    return network_traces.network


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, ("example.org", 80)), (socket.AF_INET6, ("example.org", 80, 0, 0))],
)
def test_an_internet_address_is_a_host(family: int, address: Any) -> None:
    assert connected(family, address) == {"example.org"}


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="families of Linux")
def test_sockets_to_the_own_kernel_reach_nobody() -> None:
    assert connected(socket.AF_NETLINK, (0, 0)) == set()
    assert connected(socket.AF_ALG, ("hash", "sha256")) == set()


@pytest.mark.skipif(not hasattr(socket, "AF_VSOCK"), reason="families of Linux")
def test_other_families_are_named() -> None:
    connected(socket.AF_VSOCK, (2, 80))
    connected(socket.AF_CAN, ("can0",))
    assert connected(99, ("there",)) == {"vsock 2", "can can0", "address family 99 there"}


def test_a_datagram_without_an_address_was_noted_when_its_socket_was_connected() -> None:
    assert connected(socket.AF_INET, None) == set()


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="families of Linux")
def test_a_port_is_of_its_family() -> None:
    netlink: Any = SimpleNamespace(family=socket.AF_NETLINK)
    network_traces.note_server(netlink, (0, 80))
    assert connected(socket.AF_INET, ("example.org", 80)) == {"example.org"}


def test_what_the_step_serves_is_no_network() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        network_traces.note_server(server, ("127.0.0.1", 0))
        assert connected(socket.AF_INET, server.getsockname()) == set()
