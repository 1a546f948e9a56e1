"""A repository on GitHub as the source of a job, which builds its pull requests, too.

Those from forks run the Jenkinsfile of the branch that they go to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from nbci.errors import UsageError
from nbci.jenkins.groovy import quoted

PLUGIN = "github-branch-source"
_PACKAGE = "org.jenkinsci.plugins.github_branch_source"
# XStream, with which Jenkins writes XML, doubles the underscores of a class's name
_ELEMENT = _PACKAGE.replace("_", "__")
_URL = re.compile(
    r"(?:https://github\.com/|(?:ssh://)?git@github\.com[:/])([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)
# a strategy of the plugin: a pull request as it would be once it is merged with its target; of
# branches, only those that are no pull request's, which else would be built twice
_MERGED = 1
# nobody's fork is trusted: its build takes the Jenkinsfile of the target
_TRUST = f"""
              <trust class="{_PACKAGE}.ForkPullRequestDiscoveryTrait$TrustNobody"/>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository by its owner and name."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.owner}/{self.name}"


def on_github(url: str) -> Repository:
    """The repository; UsageError for one that is elsewhere."""
    found = _URL.fullmatch(url)
    if found is None:
        raise UsageError(
            f"{url} is no repository on github.com",
            hint='leave `jenkins.pull_requests = "github"` out,'
            " and choose the source on the job's page",
        )
    return Repository(owner=found[1], name=found[2])


def source_xml(repository: Repository) -> str:
    """The source of a multibranch job, as its XML has it."""
    traits = (
        ("BranchDiscoveryTrait", ""),
        ("OriginPullRequestDiscoveryTrait", ""),
        ("ForkPullRequestDiscoveryTrait", _TRUST),
    )
    shown = "".join(
        f"""
            <{_ELEMENT}.{trait}>
              <strategyId>{_MERGED}</strategyId>{more}
            </{_ELEMENT}.{trait}>"""
        for trait, more in traits
    )
    return f"""<source class="{_PACKAGE}.GitHubSCMSource">
          <id>nbci</id>
          <repoOwner>{escape(repository.owner)}</repoOwner>
          <repository>{escape(repository.name)}</repository>
          <repositoryUrl>{escape(repository.url)}</repositoryUrl>
          <traits>{shown}
          </traits>
        </source>"""


def source_dsl(repository: Repository) -> list[str]:
    """The same source in job-dsl, as lines of a script."""
    trait = f"{_ELEMENT}.ForkPullRequestDiscoveryTrait"
    return [
        "  branchSources {",
        "    branchSource {",
        "      source {",
        "        github {",
        "          id('nbci')",
        f"          repoOwner({quoted(repository.owner)})",
        f"          repository({quoted(repository.name)})",
        f"          repositoryUrl({quoted(repository.url)})",
        "          configuredByUrl(true)",
        "          traits {",
        f"            gitHubBranchDiscovery {{ strategyId({_MERGED}) }}",
        f"            gitHubPullRequestDiscovery {{ strategyId({_MERGED}) }}",
        "          }",
        "        }",
        "      }",
        "    }",
        "  }",
        # job-dsl does not know who is trusted with forks (JENKINS-60874): that is XML here, too
        "  configure {",
        (
            "    def traits = it / 'sources' / 'data' / 'jenkins.branch.BranchSource'"
            " / 'source' / 'traits'"
        ),
        f"    traits << {quoted(trait)} {{",
        f"      strategyId({_MERGED})",
        f"      trust(class: '{_PACKAGE}.ForkPullRequestDiscoveryTrait$TrustNobody')",
        "    }",
        "  }",
    ]
