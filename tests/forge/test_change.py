from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.forge.change import Change, find_change, find_token

GITHUB = Change(forge="github", api="https://api.github.com", repository="o/r", number=5)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://github.com/o/r/pull/5", GITHUB),
        ("https://github.com/o/r/pull/5/files", GITHUB),
        (
            "https://git.example.com/o/r/pull/5",
            Change(
                forge="github", api="https://git.example.com/api/v3", repository="o/r", number=5
            ),
        ),
        (
            "https://gitlab.com/g/sub/r/-/merge_requests/7",
            Change(forge="gitlab", api="https://gitlab.com/api/v4", repository="g/sub/r", number=7),
        ),
        (
            "https://gl.example.com:8443/g/r/merge_requests/7/diffs",
            Change(
                forge="gitlab", api="https://gl.example.com:8443/api/v4", repository="g/r", number=7
            ),
        ),
    ],
)
def test_a_page_names_the_change(url: str, found: Change) -> None:
    assert find_change(url, {}) == found
    assert find_change(None, {"CHANGE_URL": url, "CHANGE_ID": "5"}) == found


def test_what_other_ci_says() -> None:
    actions = {"GITHUB_REF": "refs/pull/5/merge", "GITHUB_REPOSITORY": "o/r"}
    gitlab = {
        "CI_MERGE_REQUEST_IID": "7",
        "CI_API_V4_URL": "https://gl.example.com/api/v4",
        "CI_MERGE_REQUEST_PROJECT_PATH": "g/r",
        "CI_PROJECT_PATH": "fork/r",
    }

    assert find_change(None, actions) == GITHUB
    assert find_change(None, gitlab) == Change(
        forge="gitlab", api="https://gl.example.com/api/v4", repository="g/r", number=7
    )


@pytest.mark.parametrize(
    ("url", "environ", "said"),
    [
        (None, {}, "this is no build of a pull request"),
        (
            None,
            {"GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "o/r"},
            "this is no build of a pull request",
        ),
        ("https://github.com/o/r/issues/5", {}, "is no pull request's page"),
        ("nonsense", {}, "is no pull request's page"),
        ("http://github.example.com/o/r/pull/5", {}, "is no https address"),
    ],
)
def test_what_is_no_change(url: str | None, environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_change(url, environ)


def test_a_users_name_in_an_address_is_no_part_of_the_host() -> None:
    change = find_change("https://github.com@evil.example/o/r/pull/5", {})
    assert change.api == "https://evil.example/api/v3"


def test_tokens() -> None:
    assert find_token(GITHUB, {"GITHUB_TOKEN": "a", "NBCI_FORGE_TOKEN": "b\n"}) == "b"
    assert find_token(GITHUB, {"GH_TOKEN": "a"}) == "a"
    with pytest.raises(UsageError, match="no token to comment on o/r#5"):
        find_token(GITHUB, {"GITLAB_TOKEN": "a"})
