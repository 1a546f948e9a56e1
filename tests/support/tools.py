"""Tools that some tests need and that a machine may lack."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.support.postgres import has_postgres

LEAVE_NOTHING_OUT: Final = "NBCI_TESTS_LEAVE_NOTHING_OUT"
JENKINS: Final = {
    name: os.environ[name]
    for name in ("NBCI_JENKINS_URL", "NBCI_JENKINS_USER", "NBCI_JENKINS_TOKEN")
    if os.environ.get(name)
}
"""A real controller to test against; read now, since the guards remove nbci's own variables."""
JENKINS_READER: Final = {
    name: os.environ.get(name, "") for name in ("NBCI_JENKINS_READER", "NBCI_JENKINS_READER_TOKEN")
}
"""A user of that controller who may read jobs, and do nothing else."""
MAY_RESTART: Final = os.environ.get("NBCI_JENKINS_RESTART", "") not in {"", "0"}
PETS: Final = os.environ.get("NBCI_PETS", "")
"""An archive or folder of photographs of cats and dogs."""
NBCI_ON_AGENTS: Final = os.environ.get("NBCI_JENKINS_COMMAND") or str(
    Path(sys.executable).with_name("nbci")
)
"""nbci as the controller's agents start it; without another word, they are on this machine."""

JENKINS_PLUGIN: Final = Path(__file__).parents[2] / "jenkins-plugin-shim/plugin/hpi/target/nbci.hpi"
"""The compiled plugin, as `make plugin` leaves it."""


def reason_to_leave_out(tool: str) -> str | None:
    """Why a test that needs `tool` cannot run here, or None when it can.

    `tool` is a command on the PATH, or `kernel:NAME` for an installed Jupyter kernel, or `gpu`, or
    `postgresql` for the programs of its server, or `jenkins-plugin` for the compiled plugin, or
    `jenkins` for a controller that NBCI_JENKINS_URL names; of that one, `jenkins-reader` is a user
    who only reads, and `jenkins-restart` the leave to restart it; or `pets` for the photographs
    that NBCI_PETS names.
    """
    if tool.startswith("kernel:"):
        return (
            None
            if _has_kernel(tool.removeprefix("kernel:"))
            else f"no Jupyter kernel {tool.removeprefix('kernel:')!r}"
        )
    if tool == "gpu":
        return None if shutil.which("nvidia-smi") else "no NVIDIA GPU"
    if tool == "jenkins":
        return (
            None
            if "NBCI_JENKINS_URL" in JENKINS
            else "no Jenkins controller: NBCI_JENKINS_URL is not set"
        )
    if tool == "jenkins-plugin":
        return None if JENKINS_PLUGIN.is_file() else "no compiled plugin: `make plugin` builds it"
    if tool == "jenkins-reader":
        return None if all(JENKINS_READER.values()) else "NBCI_JENKINS_READER is not set"
    if tool == "jenkins-restart":
        return None if MAY_RESTART else "NBCI_JENKINS_RESTART is not set"
    if tool == "pets":
        return None if PETS else "no photographs of cats and dogs: NBCI_PETS is not set"
    if tool == "postgresql":
        return None if has_postgres() else "no PostgreSQL server"
    if tool == "ordinary-user":
        return "running as root, whom file modes do not stop" if os.geteuid() == 0 else None
    return None if shutil.which(tool) else f"no command {tool!r}"


def may_be_left_out(tool: str) -> bool:
    """Whether `tool` is one that installing system packages cannot give, so that even a full run
    goes without.
    """
    return tool in {"gpu", "jenkins", "jenkins-reader", "jenkins-restart", "ordinary-user", "pets"}


def _has_kernel(name: str) -> bool:
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager

    return name == NATIVE_KERNEL_NAME or name in KernelSpecManager().find_kernel_specs()
