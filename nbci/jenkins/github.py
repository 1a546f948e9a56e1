"""A repository on GitHub as a job's source: with pull requests; those of forks run their target's
Jenkinsfile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from nbci.errors import UsageError
from nbci.jenkins.groovy import quoted

PLUGIN = "github-branch-source"
_PACKAGE = "org.jenkinsci.plugins.github_branch_source"
_ELEMENT = _PACKAGE.replace("_", "__")
_URL = re.compile(
    r"(?:https://github\.com/|(?:ssh://)?git@github\.com[:/])([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)
_MERGED = 1
"""Of a pull request, what it would be once it is merged; of branches, those that are no pull
request's.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository by its owner and name."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://github.com/{self.owner}/{self.name}"


def on_github(url: str) -> Repository:
    """The repository; UsageError for one that is elsewhere."""
    found = _URL.fullmatch(url)
    if found is None:
        raise UsageError(
            f"{url} is no repository on github.com",
            hint='leave `jenkins.pull_requests = "github"` out, and choose the source on the job\'s page',
        )
    return Repository(owner=found[1], name=found[2])


def source_xml(repository: Repository) -> str:
    """The source of a multibranch job."""
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
    """The same in job-dsl, which does not know who is trusted with forks (JENKINS-60874): that is
    XML there, too.
    """
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
        "  configure {",
        "    def traits = it / 'sources' / 'data' / 'jenkins.branch.BranchSource' / 'source' / 'traits'",
        f"    traits << {quoted(trait)} {{",
        f"      strategyId({_MERGED})",
        f"      trust(class: '{_PACKAGE}.ForkPullRequestDiscoveryTrait$TrustNobody')",
        "    }",
        "  }",
    ]


_TRUST = f"""
              <trust class="{_PACKAGE}.ForkPullRequestDiscoveryTrait$TrustNobody"/>"""
