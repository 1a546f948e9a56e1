"""A unit of systemd; where this machine has its tools, they read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.deployment.systemd_target import SystemdTarget
from nbci.errors import InfrastructureError, UsageError
from nbci.pipeline.deploy_document import ProcessOptions
from tests.deployment.bundles import make_bundle
from tests.deployment.target_contract import TOKEN, surroundings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_unit_is_written_and_nothing_started(tmp_path: Path) -> None:
    around = replace(surroundings(tmp_path), folder=tmp_path / "100% of it" / "place")
    options = ProcessOptions(port=8931, systemd="units/linear.service")
    target = SystemdTarget(options, around)

    placed = target.put(make_bundle(tmp_path / "1", "v1.0.0"))

    unit = tmp_path / "units/linear.service"
    text = unit.read_text()
    assert placed.state == "written"
    assert placed.notes == (f"only its unit was written: systemctl --user enable --now {unit}",)
    assert f'"--from" "{tmp_path}/100%% of it/place/current"' in text
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text
    assert TOKEN not in text
    assert (around.folder / "current").resolve().name == "v1.0.0"
    assert target.running() is None
    assert not target.take_out()


def test_a_unit_that_systemd_refuses_is_no_unit(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    program = tmp_path / "systemd-analyze"
    program.write_text("#!/bin/sh\necho $3: Unknown key >&2\nexit 1\n")
    program.chmod(0o755)
    bare = replace(around, environ={"PATH": str(tmp_path)})
    with pytest.raises(UsageError, match="Unknown key"):
        SystemdTarget(ProcessOptions(systemd=True), bare).put(make_bundle(tmp_path / "1", "v1.0.0"))


def test_starting_needs_systemctl(tmp_path: Path) -> None:
    bare = replace(surroundings(tmp_path), environ={"PATH": str(tmp_path)})
    target = SystemdTarget(ProcessOptions(systemd=True, start=True), bare)
    with pytest.raises(InfrastructureError, match="systemctl is not on this machine"):
        target.put(make_bundle(tmp_path / "1", "v1.0.0"))
