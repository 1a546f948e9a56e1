"""What a controller refuses is said in its own words, and the token is said nowhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.jenkins import Answer, FakeJenkins

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console

TOKEN = "11fa-very-secret-token-0c"
_STATUS = ("jenkins", "status", "--job", "team/train")


@pytest.fixture
def secured(jenkins: FakeJenkins, at: dict[str, str]) -> dict[str, str]:
    jenkins.users["admin"] = TOKEN
    return {**at, "NBCI_JENKINS_USER": "admin", "NBCI_JENKINS_TOKEN": TOKEN}


def test_a_token_from_the_environment(nbci: Console, secured: dict[str, str]) -> None:
    done = nbci(*_STATUS, env=secured)
    assert done.returncode == 0, done.stderr


def test_a_token_from_netrc(
    nbci: Console, jenkins: FakeJenkins, secured: dict[str, str], at: dict[str, str], tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login admin password {TOKEN}\n")
    netrc.chmod(0o600)
    done = nbci(*_STATUS, env={**at, "NETRC": str(netrc)})
    assert done.returncode == 0, done.stderr


def test_a_broken_netrc_is_not_quoted(nbci: Console, at: dict[str, str], tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login admin {TOKEN}\n")
    netrc.chmod(0o600)
    done = nbci(*_STATUS, env={**at, "NETRC": str(netrc)})
    assert done.returncode == 2
    assert "line" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_a_token_from_a_keyring(
    nbci: Console, secured: dict[str, str], at: dict[str, str], tmp_path: Path
) -> None:
    """keyring is optional, so a module with its `get_credential` takes its place."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "keyring.py").write_text(
        "from collections import namedtuple\n"
        "def get_credential(service, user):\n"
        f"    assert service == {at['NBCI_JENKINS_URL'].rstrip('/')!r}, service\n"
        f"    return namedtuple('Credential', 'username password')('admin', {TOKEN!r})\n"
    )
    import os

    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    done = nbci(*_STATUS, env={**at, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"NBCI_JENKINS_TOKEN": "wrong-token"}, "does not accept the user and token (401)"),
        (
            {"NBCI_JENKINS_USER": "", "NBCI_JENKINS_TOKEN": ""},
            "permission hudson.model.Hudson.Read is missing (403)",
        ),
        ({"NBCI_JENKINS_TOKEN": ""}, "there is no token for admin"),
        ({"NBCI_JENKINS_USER": ""}, "NBCI_JENKINS_TOKEN is set and NBCI_JENKINS_USER is not"),
        ({"NBCI_JENKINS_URL": ""}, "no controller is known"),
        ({"NBCI_JENKINS_URL": "jenkins.example.com"}, "is no http or https URL"),
        (
            {"NBCI_JENKINS_URL": f"https://admin:{TOKEN}@jenkins.example.com/"},
            "holds a user or a password",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why(
    nbci: Console, secured: dict[str, str], env: dict[str, str], said: str
) -> None:
    done = nbci(*_STATUS, env={**secured, **env})
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def _page(message: str) -> bytes:
    return f"<html><tr><th>MESSAGE:</th><td>{message}</td></tr></html>".encode()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (
            Answer(403, {}, b"<p>dev is missing the Job/Build permission</p>"),
            2,
            "job team/train: dev is missing the Job/Build permission (403)",
        ),
        (Answer(404, {}, b""), 2, "you may not see it (404)"),
        (
            Answer(400, {}, _page("Nothing is submitted")),
            2,
            "Jenkins refuses: Nothing is submitted (400)",
        ),
        (Answer(500, {}, _page("Oops &lt;1&gt;")), 4, "the controller failed: Oops <1> (500)"),
        (Answer(503, {}, b""), 4, "(503)"),
        (Answer(201, {}, b""), 4, "does not say where in the queue"),
    ],
)
def test_a_refused_trigger_says_what_jenkins_says(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], answer: Answer, code: int, said: str
) -> None:
    jenkins.answers = lambda seen: answer if "buildWithParameters" in seen.path else None
    done = nbci("jenkins", "run", "--job", "team/train", env=at)
    assert done.returncode == code
    assert said in done.stderr


def test_a_disabled_job(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    jenkins.jobs["team/train"].disabled = True
    done = nbci("jenkins", "run", "--job", "team/train", env=at)
    assert done.returncode == 2
    assert "job team/train: team/train is not buildable (409)" in done.stderr


def test_a_crumb_of_a_session_that_is_over(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    def change(seen: object) -> None:
        if len(jenkins.seen) == 4:
            jenkins.crumb = "of another session"

    jenkins.answers = change  # never answers itself
    done = nbci("jenkins", "run", "--job", "team/train", env=at)
    assert done.returncode == 0, done.stderr
    assert any(seen.headers.get("Jenkins-Crumb") == "of another session" for seen in jenkins.seen)


def test_a_redirect_elsewhere_is_named_and_gets_no_token(
    nbci: Console, jenkins: FakeJenkins, secured: dict[str, str]
) -> None:
    other = FakeJenkins()
    try:
        jenkins.answers = lambda seen: Answer(
            302, {"Location": f"http://localhost:{other.port}{seen.path}"}
        )
        done = nbci(*_STATUS, env=secured)
        assert done.returncode == 2
        assert f"redirects to http://localhost:{other.port}/" in done.stderr
        assert other.seen
        assert not any("Authorization" in seen.headers for seen in other.seen)
    finally:
        other.close()


def test_a_circle_of_redirects(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    jenkins.answers = lambda seen: Answer(302, {"Location": jenkins.url})
    done = nbci(*_STATUS, env=at)
    assert done.returncode == 2
    assert "redirects in a circle" in done.stderr


def test_what_is_no_jenkins(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    jenkins.answers = lambda _: Answer(200, {}, b"<h1>It works!</h1>")
    done = nbci(*_STATUS, env=at)
    assert done.returncode == 2
    assert "is no Jenkins" in done.stderr


def test_what_is_no_json(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    jenkins.answers = lambda seen: (
        Answer(200, {}, b"<h1>It works!</h1>") if "api/json?depth" in seen.path else None
    )
    done = nbci(*_STATUS, env=at)
    assert done.returncode == 4
    assert "is not understood" in done.stderr


def test_nobody_answers(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    jenkins.close()
    done = nbci(*_STATUS, env=at)
    assert done.returncode == 4
    assert "does not answer" in done.stderr
    assert "Connection refused" in done.stderr


def test_tls_where_there_is_none(nbci: Console, jenkins: FakeJenkins, at: dict[str, str]) -> None:
    done = nbci(*_STATUS, env={"NBCI_JENKINS_URL": jenkins.url.replace("http:", "https:")})
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert re.search("certificate|does not answer", done.stderr)


def test_the_token_is_written_and_printed_nowhere(
    nbci: Console, jenkins: FakeJenkins, secured: dict[str, str], tmp_path: Path
) -> None:
    """Not even where the controller sends it back, and where an own header would be logged."""
    jenkins.answers = lambda seen: (
        Answer(500, {}, _page(f"token {TOKEN} header {seen.headers.get('X-Own')}"))
        if "wfapi" in seen.path
        else None
    )
    env = {**secured, "JENKINS_API_EXTRA_HEADERS": "X-Own: other-secret"}
    said = ""
    for words in (
        ("run", "--job", "team/train", "--fetch", "here"),
        ("status", "--job", "team/train", "--json"),
        ("stop", "--job", "team/train"),
    ):
        done = nbci("jenkins", *words, env=env)
        said += done.stdout + done.stderr
    assert "the controller failed" in said
    assert TOKEN not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert not any(TOKEN in seen.path for seen in jenkins.seen)
