from __future__ import annotations

import pytest

from nbci.web_pages import (
    build_url,
    build_words,
    change_url,
    change_words,
    checked_page,
    repository_of,
)

COMMIT = "4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345"


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("git@github.com:o/r.git", f"https://github.com/o/r/commit/{COMMIT}"),
        ("https://github.com/o/r", f"https://github.com/o/r/commit/{COMMIT}"),
        ("https://ada:secret@github.com/o/r.git/", f"https://github.com/o/r/commit/{COMMIT}"),
        (
            "ssh://git@gitlab.example.org:2222/group/sub/r.git",
            f"https://gitlab.example.org/group/sub/r/-/commit/{COMMIT}",
        ),
        ("git@bitbucket.org:o/r.git", f"https://bitbucket.org/o/r/commits/{COMMIT}"),
        ("https://codeberg.org/o/r.git", f"https://codeberg.org/o/r/commit/{COMMIT}"),
        ("https://gitea.local:3000/o/r", f"https://gitea.local:3000/o/r/commit/{COMMIT}"),
    ],
)
def test_commits_have_pages_on_the_forges_that_are_known(remote: str, page: str) -> None:
    repository = repository_of(remote, None, {})
    assert repository is not None
    assert repository.commit_page(COMMIT) == page
    assert repository.commit_page("main?x=<b>") is None


@pytest.mark.parametrize(
    "remote",
    [
        None,
        "",
        "/srv/git/r.git",
        "../r.git",
        "file:///srv/r.git",
        "http://github.com/o/r",
        "git://github.com/o/r",
        "https://git.example.org/o/r",
        "javascript:alert(1)//github.com/o/r",
        'https://github.com/o/r"onmouseover="alert(1)',
        "https://github.com/o/<script>",
        "https://github.com/o/..",
        "https://github.com/../r",
        "https://github.com@evil.example/o/r",
        "https://github.com/o/r#x",
        "https://github.com/o/r?x",
        "https://github.com/o/r\n",
        "https://g\u0131thub.com/o/r",
        "git@github.com:o",
        "ext::sh -c touch% /tmp/x",
    ],
)
def test_no_other_remote_becomes_a_link(remote: str | None) -> None:
    assert repository_of(remote, None, {}) is None


def test_a_host_of_ones_own_is_known_by_a_change_or_by_ci() -> None:
    remote = "git@code.example.org:group/r.git"
    by_change = repository_of(remote, "https://code.example.org/group/r/-/merge_requests/5", {})
    assert by_change == ("https://code.example.org/group/r", "gitlab")
    by_ci = repository_of(remote, None, {"GITHUB_SERVER_URL": "https://code.example.org"})
    assert by_ci == ("https://code.example.org/group/r", "github")
    assert repository_of(remote, "https://evil.example/group/r/pull/5", {}) is None


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://ci.example.org/job/a%20b/12/", "https://ci.example.org/job/a%20b/12/"),
        ("HTTPS://CI.example.org/job/A/", "https://ci.example.org/job/A/"),
        ("https://ada:secret@ci.example.org/job/", "https://ci.example.org/job/"),
        ("http://ci:8080/job/a/12/", None),
        ("//ci.example.org/", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://ci.example.org/../x", None),
        ("https://ci.example.org/%2E%2e/x", None),
        ('https://ci.example.org/"x', None),
        ("https://ci.example.org/x y", None),
        ("https://ci.example.org/\u202ex", None),
        ("https://ci.example.org/x\n", None),
        (None, None),
    ],
)
def test_pages_are_checked(address: str | None, page: str | None) -> None:
    assert checked_page(address) == page


def test_a_build_may_be_on_a_controller_without_tls() -> None:
    address = "http://ci:8080/job/a/12/"
    assert checked_page(address, http_too=True) == address
    assert checked_page("ftp://ci/job/a/12/", http_too=True) is None


@pytest.mark.parametrize(
    ("environ", "build", "change"),
    [
        ({}, None, None),
        (
            {"BUILD_URL": "https://ci/job/a/12/", "CHANGE_URL": "https://github.com/o/r/pull/5"},
            "https://ci/job/a/12/",
            "https://github.com/o/r/pull/5",
        ),
        (
            {
                "CI_JOB_URL": "https://gitlab.com/g/r/-/jobs/7",
                "CI_MERGE_REQUEST_PROJECT_URL": "https://gitlab.com/g/r",
                "CI_MERGE_REQUEST_IID": "5",
            },
            "https://gitlab.com/g/r/-/jobs/7",
            "https://gitlab.com/g/r/-/merge_requests/5",
        ),
        (
            {
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_RUN_ID": "99",
                "GITHUB_REF": "refs/pull/5/merge",
            },
            "https://github.com/o/r/actions/runs/99",
            "https://github.com/o/r/pull/5",
        ),
    ],
    ids=["none", "jenkins", "gitlab", "github"],
)
def test_ci_names_its_build_and_change(
    environ: dict[str, str], build: str | None, change: str | None
) -> None:
    assert (build_url(environ), change_url(environ)) == (build, change)


def test_changes_and_builds_are_called_as_people_call_them() -> None:
    assert change_words("https://github.com/o/r/pull/5") == "pull request #5"
    assert change_words("https://gitlab.com/g/r/-/merge_requests/5") == "merge request !5"
    assert change_words("https://codeberg.org/o/r/pulls/5") == "pull request #5"
    assert change_words("https://review.example.org/c/5") == "the change"
    assert build_words("https://ci/job/a/12/") == "build 12"
    assert build_words("https://ci/job/a/") == "the build"
