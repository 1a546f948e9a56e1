"""Sign seals of runs with an SSH key, and check signatures, by OpenSSH's `ssh-keygen -Y`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.commands import checked_operand
from nbci.errors import IntegrityError, Location, UsageError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

KEY = "NBCI_SIGNING_KEY"
"""The variable that names the file of the private key; no step gets to see it."""
_NAMESPACE = "nbci-seal"
_SECONDS = 20


def sign(digest: str, environ: Mapping[str, str]) -> str | None:
    """The signature of a seal's digest; None where no key is given.

    UsageError when the key cannot be used.
    """
    key = environ.get(KEY)
    if not key:
        return None
    done = _ssh_keygen(["sign", "-q", "-n", _NAMESPACE, "-f", str(Path(key).absolute())], digest)
    if done.returncode:
        raise UsageError(
            f"the run cannot be signed with the key that {KEY} names: {_error_text(done)}",
            where=Location(key),
            hint="give the file of a private SSH key without a passphrase, "
            "which only its owner can read",
        )
    return done.stdout


def check_signature(digest: str, signature: str | None, signers: Path) -> str:
    """The one of the `signers` who signed a seal's digest; IntegrityError if none did.

    The file has the form that ssh-keygen(1) describes under ALLOWED SIGNERS.
    """
    import tempfile

    where = Location(str(signers))
    if signature is None:
        raise IntegrityError(
            "the seal carries no signature", where=where, hint=f"run again where {KEY} is set"
        )
    with tempfile.TemporaryDirectory(prefix="nbci-") as name:
        place = Path(name) / "seal.sig"
        place.write_text(signature, encoding="utf-8")
        found = _ssh_keygen(
            ["find-principals", "-s", str(place), "-f", str(signers.absolute())], ""
        )
        if found.returncode or not found.stdout:
            raise IntegrityError(
                "the seal is signed by none of the signers",
                where=where,
                hint=_error_text(found) or None,
            )

        # `find-principals` names the key's owner and checks nothing of the message.
        who = found.stdout.splitlines()[0]
        files = ["-s", str(place), "-f", str(signers.absolute())]
        # The name comes from a file of the project: it must not be taken for an option.
        identity = ["-n", _NAMESPACE, "-I", checked_operand(who)]
        done = _ssh_keygen(["verify", *files, *identity], digest)
        if done.returncode:
            raise IntegrityError(
                f"the signature of {who} is not that of this seal",
                where=where,
                hint=_error_text(done),
            )
    return who


def _ssh_keygen(words: Sequence[str], message: str) -> subprocess.CompletedProcess[str]:
    """OpenSSH's answer about a message; it asks nobody for a passphrase."""
    import subprocess

    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", *words],
            input=message,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"ssh-keygen cannot be used: {error}", hint="install OpenSSH 8.2 or later"
        ) from error


def _error_text(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines()]
    return "; ".join(filter(None, lines))[:300]
