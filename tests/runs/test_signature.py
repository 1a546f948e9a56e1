"""Seals that are signed with an SSH key.

Changing a record and sealing it again takes the key.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.errors import IntegrityError, UsageError
from nbci.runs.folder import RunFolder
from nbci.runs.signature import KEY, check_signature, sign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

DIGEST = hashlib.sha256(b"seal").hexdigest()


def make_key(folder: Path, name: str) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
    subprocess.run(command, check=True)
    return folder / name


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key of CI's, and beside it the file of those who may sign."""
    key = make_key(tmp_path, "ci")
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (tmp_path / "signers").write_text(
        f'ci@example.com namespaces="nbci-seal" {public}', encoding="utf-8"
    )
    return key


def test_a_signature_is_of_one_seal_and_of_a_known_signer(key: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signature = sign(DIGEST, {KEY: str(key)})
    assert check_signature(DIGEST, signature, signers) == "ci@example.com"
    stranger = sign(DIGEST, {KEY: str(make_key(tmp_path, "stranger"))})
    other = hashlib.sha256(b"other").hexdigest()
    for digest, given in (
        (other, signature),
        (DIGEST, stranger),
        (DIGEST, None),
        (DIGEST, "no signature"),
    ):
        with pytest.raises(IntegrityError):
            check_signature(digest, given, signers)


def test_without_a_key_nothing_is_signed_and_with_a_wrong_one_nothing_is_hidden(
    tmp_path: Path,
) -> None:
    assert sign(DIGEST, {}) is None
    (tmp_path / "no-key").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=KEY):
        sign(DIGEST, {KEY: str(tmp_path / "no-key")})


def test_a_record_whose_seal_was_made_anew_is_no_evidence(
    nbci: Console, make_notebook: MakeNotebook, key: Path, tmp_path: Path
) -> None:
    (nbci.cwd / "pyproject.toml").write_text('[tool.nbci]\nsigners = "signers"\n', encoding="utf-8")
    (nbci.cwd / "signers").write_bytes((tmp_path / "signers").read_bytes())
    code = f"import os\nassert {KEY!r} not in os.environ"
    make_notebook("n.ipynb", [("step:a", code)])
    assert nbci("run", "n.ipynb", env={KEY: str(key)}).returncode == 0
    run = json.loads(nbci("show", "--json").stdout)["run"]
    folder = RunFolder(nbci.cwd / ".nbci" / "runs" / run)
    assert (
        folder.check_seal(nbci.cwd / "signers")
        == hashlib.sha256((folder.path / "seal.json").read_bytes()).hexdigest()
    )
    assert nbci("gate", run, env={KEY: str(key)}).returncode == 0

    record = folder.path / "run.json"
    record.write_text(
        record.read_text(encoding="utf-8").replace('"user"', '"host_user"'), encoding="utf-8"
    )
    sealed = json.loads((folder.path / "seal.json").read_bytes())
    sealed["run.json"] = hashlib.sha256(record.read_bytes()).hexdigest()
    (folder.path / "seal.json").write_text(json.dumps(sealed), encoding="utf-8")
    assert (
        folder.check_seal() == hashlib.sha256((folder.path / "seal.json").read_bytes()).hexdigest()
    )
    done = nbci("gate", run)
    assert done.returncode == 5
    assert "is not that of this seal" in done.stderr


def test_a_run_with_nothing_to_do_is_signed_too(
    nbci: Console, make_notebook: MakeNotebook, key: Path
) -> None:
    make_notebook("n.ipynb", [("step:a", "1")])
    for _ in range(2):
        assert nbci("run", "n.ipynb", env={KEY: str(key)}).returncode == 0
    for folder in (nbci.cwd / ".nbci" / "runs").iterdir():
        assert RunFolder(folder).check_seal(key.parent / "signers")
