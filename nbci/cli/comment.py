"""Put the summary of a run on the pull request that it was for: one comment, which each later run
writes anew.

The token is taken from NBCI_FORGE_TOKEN, GITHUB_TOKEN, GH_TOKEN or GITLAB_TOKEN, and shown nowhere.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_run_argument

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci comment`."""
    add_run_argument(parser)
    parser.add_argument("--change", metavar="URL", help="the page of the pull request or merge request "
                        "(default: the one that Jenkins, GitHub Actions or GitLab CI is building)")  # fmt: skip
    parser.add_argument("--report", metavar="URL", help="where the report is to be read, for links and pictures "
                        "(default: NBCI_REPORT_URL; else the build's page)")  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print the comment, and send nothing"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON document with what became of it"
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the comment."""
    from nbci.config import find_project
    from nbci.report.data.gather import REPORT_URL
    from nbci.runs.folder import find_run

    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    report = arguments.report or os.environ.get(REPORT_URL)
    text = _text(project, folder, report)
    if arguments.dry_run:
        print(text, end="")
        return 0
    from nbci.forge.change import find_change, find_token
    from nbci.forge.client import Forge
    from nbci.forge.comment import keep_one

    change = find_change(arguments.change, os.environ)
    forge = Forge(change, find_token(change, os.environ))
    record = folder.read_header()
    posted = keep_one(forge, record.pipeline, folder.run, text)
    if arguments.json:
        print(
            json.dumps(
                {
                    "run": folder.run,
                    "change": change.title,
                    "comment": posted.what,
                    "page": posted.page,
                }
            )
        )
    else:
        said = {
            "created": "commented",
            "updated": "comment updated",
            "older": "left: a later run has commented",
        }
        print(f"{change.title}: {said[posted.what]}\n  {posted.page}")
    return 0


def _text(project: Project, folder: RunFolder, report: str | None) -> str:
    """The summary of the run, which holds no secret: once more without what this very environment
    holds.
    """
    from dataclasses import replace

    from nbci.engine.prepare import mask_for
    from nbci.report.charts import figures_of
    from nbci.report.data.gather import gather
    from nbci.report.data.view import shown_steps
    from nbci.report.summary import summary

    record, plan = folder.read(), folder.read_plan()
    notebooks = folder.executed(plan)
    material = replace(gather(project, record, plan, notebooks, environ=os.environ), url=report)
    links = {
        "Report": f"{report.rstrip('/')}/index.html" if report else None,
        "Build": os.environ.get("BUILD_URL"),
    }
    text = summary(
        material,
        shown_steps(record, plan, notebooks),
        figures_of(material) if report else (),  # drawing them takes its time
        links={name: url for name, url in links.items() if url},
    )
    return mask_for(project, plan, os.environ).text(text.decode())
