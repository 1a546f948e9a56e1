"""A server that systemd keeps running: its unit, and by systemctl where that is asked for."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from nbci.deployment.process_target import check_open, serve_command
from nbci.deployment.programs import run_program
from nbci.deployment.release_folder import ReleaseFolder
from nbci.deployment.server_client import Client
from nbci.deployment.target import NotReady, Placed, Running
from nbci.errors import InfrastructureError, UsageError
from nbci.store.files import remove, write_atomic

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import ProcessOptions

_SECONDS = 60.0
_POLL_SECONDS = 0.1
_WRITTEN_ONLY = "without `start: true` the unit is only written"


class SystemdTarget:
    """A unit of the user's own systemd; without `start`, its file and the release alone.

    As with a process, the link `current` says which release is served.
    """

    def __init__(self, options: ProcessOptions, around: Surroundings) -> None:
        self._options = options
        self._around = around
        self._releases = ReleaseFolder(around.folder)

    @property
    def _unit(self) -> Path:
        if isinstance(self._options.systemd, str):
            return self._around.project / self._options.systemd
        return self._around.folder / f"{self._around.label}.service"

    def running(self) -> Running | None:
        """The version that answers at the unit's port, where the unit was started from here."""
        if not self._options.start or not self._is_active():
            return None
        version = Client(self._address(), self._around.environ).version(self._around.model)
        outdated = ""
        if version is None:
            outdated = "it does not answer"
        elif self._unit.read_text(encoding="utf-8") != self._text():
            outdated = "its settings are others now"
        return Running(
            version=version,
            what=f"the unit {self._unit.name}",
            address=self._address(),
            outdated=outdated,
        )

    def put(self, bundle: Bundle) -> Placed:
        """Write the unit, place the release, and start or reload the unit where that is asked."""
        check_open(self._options, self._around)
        there = self.running()
        before = self._releases.version
        write_atomic(self._unit, self._text())
        self._verify()
        self._releases.place(bundle)
        self._releases.point_to(bundle.version)
        if not self._options.start:
            note = f"only its unit was written: systemctl --user enable --now {self._unit}"
            return Placed(state="written", notes=(note,))
        if there is not None and not there.outdated:
            # The server looks at the link, and takes the other release without a gap.
            self._systemctl("reload", self._unit.name)
        else:
            self._systemctl("daemon-reload")
            self._systemctl("enable", str(self._unit))
            self._systemctl("restart", self._unit.name)
        self._wait_for(bundle)
        self._releases.keep_only({bundle.version, before or bundle.version})
        return Placed(state="running", address=self._address())

    def take_out(self) -> bool:
        """Stop the unit, and take it out of what systemd starts."""
        if not self._options.start or not self._unit.exists():
            return False
        was_active = self._is_active()
        self._systemctl("disable", "--now", self._unit.name)
        remove(self._unit)
        return was_active

    def _text(self) -> str:
        words = " ".join(map(_quoted, serve_command(self._options, self._around)))
        lines = [
            "# Written by nbci deploy, which writes it anew each time.",
            "[Unit]",
            f"Description=nbci serves {self._around.model}, deployment {self._around.name}",
            "After=network.target",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={words}",
            "ExecReload=/bin/kill -HUP $MAINPID",
            # A token is in a file that its owner alone may read: units are read by everybody.
            f"EnvironmentFile=-{_specifiers(str(self._around.folder / 'secret.env'))}",
            "Restart=on-failure",
            # Wrong usage, and a release that is not what was promoted, do not mend themselves.
            "RestartPreventExitStatus=2 5",
            "TimeoutStopSec=45",
            "NoNewPrivileges=yes",
            "",
            "[Install]",
            "WantedBy=default.target",
        ]
        return "\n".join(lines) + "\n"

    def _verify(self) -> None:
        """UsageError where systemd finds a mistake in the unit; nothing where it is not here."""
        if shutil.which("systemd-analyze", path=self._around.environ.get("PATH")) is None:
            return
        done = self._run("systemd-analyze", "--user", "verify", str(self._unit))
        # Without a session of the user, as in a container, it fails before it reads the unit.
        complaints = [line for line in done.stderr.splitlines() if self._unit.name in line]
        if done.returncode != 0 and complaints:
            said = "; ".join(complaints)
            raise UsageError(f"systemd does not take the unit: {said[:300]}")

    def _is_active(self) -> bool:
        if not self._unit.exists():
            return False
        return self._run("systemctl", "--user", "is-active", self._unit.name).returncode == 0

    def _systemctl(self, *words: str) -> None:
        done = self._run("systemctl", "--user", *words)
        if done.returncode != 0:
            raise InfrastructureError(
                f"systemctl --user {words[0]} failed: {done.stderr.strip()[:300]}",
                hint=_WRITTEN_ONLY,
            )

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run_program(
            command,
            self._around.environ,
            seconds=_SECONDS,
            absent_hint=_WRITTEN_ONLY,
        )

    def _wait_for(self, bundle: Bundle) -> None:
        client = Client(self._address(), self._around.environ)
        deadline = time.monotonic() + self._around.ready_seconds
        name = next(iter(bundle.manifest.served))
        while client.version(name) != bundle.version:
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{bundle.version} does not answer at {self._address()}: "
                    f"journalctl --user -u {self._unit.name}"
                )
            time.sleep(_POLL_SECONDS)

    def _address(self) -> str:
        host = self._options.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened at
            host = "127.0.0.1"
        return f"http://{host}:{self._options.port}"


def _quoted(word: str) -> str:
    """A word of a command line, as systemd reads it.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    """
    escaped = _specifiers(word).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _specifiers(text: str) -> str:
    # `%h` would be a home folder.
    return text.replace("%", "%%")
