"""A release of a signed run: who may sign it, what is refused, and what is reported of it later."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.runs.signature import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.releases import Released


@pytest.fixture
def keys(released: Released) -> dict[str, Path]:
    """The key of the one signer that the project names, and a stranger's."""
    made = {}
    for name in ("ci", "stranger"):
        made[name] = released.root / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made[name])], check=True
        )
    write_signers(released, made["ci"])
    (released.project / "pyproject.toml").write_text(
        '[tool.nbci]\nsigners = "signers"\n', encoding="utf-8"
    )
    released.git("add", ".")
    released.git("commit", "-qm", "name the signers")
    released.git("push", "-q", "origin", "main")
    return made


def write_signers(released: Released, key: Path) -> None:
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (released.project / "signers").write_text(f"ci@example.com {public}", encoding="utf-8")


def signed_run(released: Released, key: Path | None) -> str:
    environ = {KEY: str(key)} if key is not None else {}
    done = released.nbci("run", "pipeline.yaml", "-p", "C=3", "--quiet", env=environ)
    assert done.returncode == 0, done.stderr
    return max(os.listdir(released.project / ".nbci/runs"))


@pytest.mark.parametrize(
    ("signer", "message"),
    [(None, "carries no signature"), ("stranger", "is signed by none of the signers")],
)
def test_a_run_that_no_signer_signed_is_not_promoted(
    released: Released, keys: dict[str, Path], signer: str | None, message: str
) -> None:
    run = signed_run(released, keys[signer] if signer else None)
    done = released.nbci("promote", run)
    assert (done.returncode, released.tags()) == (5, set())
    assert message in done.stderr


def test_a_seal_that_was_changed_after_signing_is_not_promoted(
    released: Released, keys: dict[str, Path]
) -> None:
    run = signed_run(released, keys["ci"])
    seal = released.project / ".nbci/runs" / run / "seal.json"
    seal.write_bytes(seal.read_bytes() + b"\n")
    done = released.nbci("promote", run)
    assert (done.returncode, released.tags()) == (5, set())
    assert "is not that of this seal" in done.stderr


def test_who_signed_a_release_is_checked_and_said(
    released: Released, keys: dict[str, Path]
) -> None:
    done = released.nbci("promote", signed_run(released, keys["ci"]))
    assert done.returncode == 0, done.stderr
    assert released.nbci("models", "verify", "--quick").returncode == 0
    assert "signed by ci@example.com" in released.nbci("audit").stdout

    write_signers(released, keys["stranger"])
    done = released.nbci("models", "verify", "--quick")
    assert done.returncode == 5
    assert "is signed by none of the signers" in done.stdout + done.stderr
    found = [deed["signature"] for deed in json.loads(released.nbci("audit", "--json").stdout)]
    assert "not vouched for: the seal is signed by none of the signers" in found


def test_a_release_that_nobody_signed_is_said_to_be_one(released: Released) -> None:
    assert released.nbci("promote", "latest").returncode == 0
    assert "not signed" in released.nbci("audit").stdout
