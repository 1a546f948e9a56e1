"""Files that bring a controller up: Configuration as Code, and the list of plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbci.errors import UsageError
from nbci.jenkins.github import PLUGIN, on_github, source_dsl
from nbci.jenkins.groovy import quoted
from nbci.jenkins.items import description_of_folders, description_of_job

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.config import Project

NEEDED_PLUGINS = (
    "git",
    "junit",
    "pipeline-groovy-lib",
    "workflow-aggregator",
    "workflow-multibranch",
)
"""Without these the shared library does not run."""

OPTIONAL_PLUGINS = (
    ("checks-api", "results beside the commit"),
    ("credentials-binding", "secrets of steps"),
    ("docker-workflow", "steps in containers"),
    ("htmlpublisher", "the report on a page of its own"),
    ("lockable-resources", "one GPU for each step on an agent with several"),
    ("pipeline-rest-api", "the table of stages in `nbci jenkins run`"),
    ("pipeline-utility-steps", "labels that no node carries are named at once"),
    ("warnings-ng", "findings of `nbci lint`"),
)

_OWN_PLUGIN = (
    "# when it is there: notebooks as a build step of any job, a page of each build and job",
    "# nbci: it is in no update centre, so nothing installs it from here. In nbci's repository",
    "# `make plugin` builds nbci.hpi; upload it under Manage Jenkins, Plugins, Advanced settings.",
)
_BRING_UP_PLUGINS = ("branch-api", "cloudbees-folder", "configuration-as-code", "job-dsl")
_SHIM = "jenkins-plugin-shim"
_CASC_COMMENT = (
    "# A new controller for this project: start Jenkins with CASC_JENKINS_CONFIG naming this file,"
    " and the\n"
    "# plugins of plugins.txt beside it. It sets who may log in, so it is not for a controller"
    " that has users\n"
    "# already. The password of admin is JENKINS_ADMIN_PASSWORD in the environment of the"
    " controller: set it.\n"
    "# `nbci jenkins init` writes this file once; it is yours from then on.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Where the shared library is: in the repository at `url`, or in the project's own (None)."""

    url: str | None = None
    version: str = "main"

    @property
    def line(self) -> str:
        """How a Jenkinsfile loads it."""
        if self.url is None:
            # `scm` is the checkout of the Jenkinsfile, so library and pipeline are of one commit
            retriever = f"legacySCM(scm: scm, libraryPath: {quoted(_SHIM + '/')})"
            return f"library(identifier: 'nbci@local', retriever: {retriever})"
        return "library 'nbci'"


def find_library(project: Project, given: str | None = None) -> Library:
    """Find the library: as given, as the project's settings say, or in the project itself."""
    named = given or project.jenkins.library
    if named is None:
        if (project.root / _SHIM / "vars").is_dir():
            return Library()
        raise UsageError(
            "where is nbci's shared library?",
            hint="name its repository: --library URL[@VERSION],"
            ' or `jenkins.library = "URL"` in [tool.nbci]',
        )

    url, separator, version = named.rpartition("@")
    # git@host:path holds an @ of its own
    if not separator or "/" in version or ":" in version:
        return Library(url=without_user(named))
    return Library(url=without_user(url), version=version)


def find_repository(project: Project, given: str | None = None) -> str:
    """Find what the controller clones: as given, as the settings say, or the remote `origin`."""
    named = given or project.jenkins.repository or _origin(project.root)
    if named is None:
        raise UsageError(
            "where does the controller clone this project from?",
            hint='say so with --repository URL, or `jenkins.repository = "URL"` in [tool.nbci]',
        )
    return without_user(named)


def without_user(url: str) -> str:
    """Drop user and password from a URL: the files that it is written to are committed."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def casc(
    job: str,
    repository: str,
    library: Library,
    labels: tuple[str, ...],
    pull_requests: str | None = None,
) -> str:
    """Write Configuration as Code: one user, the library, folders, the job, and two nodes.

    One of the nodes is for steps that ask for a GPU or for one of `labels`. With `pull_requests`,
    which is `github`, the job builds these, too.
    """
    import yaml

    gpu = " ".join(dict.fromkeys(("gpu", *labels)))
    document = {
        "jenkins": {
            # builds on the controller's own node could read what it keeps, secrets among it
            "numExecutors": 0,
            "securityRealm": {
                "local": {
                    "allowsSignup": False,
                    "users": [{"id": "admin", "password": "${JENKINS_ADMIN_PASSWORD}"}],
                }
            },
            "authorizationStrategy": {"loggedInUsersCanDoAnything": {"allowAnonymousRead": False}},
            # EXCLUSIVE: steps that ask for no label leave the GPU alone
            "nodes": [_node("linux1", "linux", "NORMAL"), _node("gpu1", gpu, "EXCLUSIVE")],
        },
        "unclassified": {
            "location": {"url": "${JENKINS_PUBLIC_URL:-http://localhost:8080/}"},
            "globalLibraries": {"libraries": [_global_library(library, repository)]},
        },
        "jobs": [{"script": _job_script(job, repository, pull_requests)}],
    }
    text = yaml.dump(document, Dumper=_dumper(), sort_keys=False, width=120, allow_unicode=True)
    return _CASC_COMMENT + text


def plugins_text(pull_requests: str | None = None) -> str:
    """List the plugins for jenkins-plugin-cli, a line each, with what the optional ones add."""
    lines = ["# needed", *NEEDED_PLUGINS, "", "# for casc.yaml", *_BRING_UP_PLUGINS]
    if pull_requests:
        lines.append(PLUGIN)
    for name, use in OPTIONAL_PLUGINS:
        lines += ["", f"# when it is there: {use}", name]
    lines += ["", *_OWN_PLUGIN]
    return "\n".join(lines) + "\n"


def _global_library(library: Library, repository: str) -> dict[str, object]:
    # without libraryPath Jenkins looks for vars/ and src/ at the root of the repository
    scm = {"git": {"remote": library.url or repository}}
    return {
        "name": "nbci",
        "defaultVersion": library.version,
        "retriever": {"modernSCM": {"libraryPath": f"{_SHIM}/", "scm": scm}},
    }


def _node(name: str, labels: str, mode: str) -> dict[str, object]:
    return {
        "permanent": {
            "name": name,
            "labelString": labels,
            "mode": mode,
            "numExecutors": 1,
            "remoteFS": "/home/jenkins/agent",
            # inbound over a web socket: the agent needs no port of the controller but its page's
            "launcher": {"inbound": {"webSocket": True}},
        }
    }


def _job_script(job: str, repository: str, pull_requests: str | None) -> str:
    """Write the folders and the job in job-dsl."""
    source = _git_source(repository)
    if pull_requests:
        source = source_dsl(on_github(repository))

    parts = job.split("/")
    about_folders = f"description({quoted(description_of_folders())})"
    folders = [
        f"folder({quoted('/'.join(parts[:depth]))}) {{ {about_folders} }}"
        for depth in range(1, len(parts))
    ]
    lines = [
        *folders,
        f"multibranchPipelineJob({quoted(job)}) {{",
        # with the mark by which `nbci jenkins sync` tells what is nbci's own
        f"  description({quoted(description_of_job(repository))})",
        *source,
        "  factory { workflowBranchProjectFactory { scriptPath('Jenkinsfile') } }",
        "  orphanedItemStrategy { discardOldItems { numToKeep(20) } }",
        "  triggers { periodicFolderTrigger { interval('5m') } }",
        "}",
        "",
    ]
    # Configuration as Code would put variables in the place of `$`
    return "\n".join(lines).replace("$", "^$")


def _git_source(repository: str) -> list[str]:
    return [
        "  branchSources {",
        "    git {",
        "      id('nbci')",
        f"      remote({quoted(repository)})",
        "    }",
        "  }",
    ]


def _origin(root: Path) -> str | None:
    from nbci.errors import NbciError
    from nbci.git.process import open_git

    try:
        return open_git(root).get("remote", "get-url", "origin")
    except NbciError:
        return None


def _dumper() -> type:
    """A dumper that writes texts of several lines as blocks, so that people can edit them."""
    import yaml

    # a class of its own: representers are kept by class, and SafeDumper is everybody's
    class BlockDumper(yaml.SafeDumper):
        pass

    def represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = None
        if "\n" in value:
            style = "|"
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    BlockDumper.add_representer(str, represent_text)
    return BlockDumper
