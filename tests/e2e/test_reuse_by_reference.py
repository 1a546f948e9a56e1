"""Values that refer to a class or function of the notebook.

Such a value is another one when that definition is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.notebooks import write_notebook
from tests.support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path

DEFINITIONS = """\
class Base:
    def scale(self):
        return FACTOR

class Model(Base):
    rate = {version}
    def predict(self):
        return helper()
    @staticmethod
    def fixed():
        return {version}

class Kind(enum.Enum):
    ONE = 1
    @property
    def weight(self):
        return {version}

@dataclasses.dataclass
class Row:
    x: int
    def double(self):
        return {version} * self.x

def helper():
    return {version}

@functools.lru_cache(maxsize=None)
def cached():
    return {version}

def plus(x, y):
    return x + y * {version}

def steady():
    return 7
"""
VALUES = {
    "function": ("helper", "{}()"),
    "decorated": ("cached", "{}()"),
    "partial": ("{{'f': functools.partial(plus, 0)}}", "{}['f'](1)"),
    "instance": ("Model()", "{}.predict()"),
    "attribute": ("[Model()]", "{}[0].rate"),
    "bound": ("Model().predict", "{}()"),
    "static": ("Model.fixed", "{}()"),
    "klass": ("(Model,)", "{}[0]().predict()"),
    "inherited": ("Model()", "{}.scale()"),
    "subclass": ("type('Own', (Model,), {{}})()", "{}.predict()"),
    "member": ("Kind.ONE", "{}.weight"),
    "row": ("Row(1)", "{}.double()"),
    "closure": ("(lambda: helper())", "{}()"),
    "steady": ("steady", "{}()"),
}
STEADY = "steady"


class ProjectOfValues(Project):
    """A notebook whose first step makes values of all kinds; another step asks each of them."""

    def run(self, version: int, *arguments: str) -> tuple[dict[str, float], dict[str, str]]:
        """The metrics and the results of the steps, by the name of the value."""
        cells = [
            ("parameters", "FACTOR = 1"),
            ("imports", "import dataclasses, enum, functools"),
            ("functions", DEFINITIONS.format(version=version)),
            (
                "step:make",
                "\n".join(f"v_{name} = {made.format()}" for name, (made, _) in VALUES.items()),
            ),
        ]
        for name, (_, asked) in VALUES.items():
            cells += [(f"step:{name} prev:make", f"m_{name} = {asked.format(f'v_{name}')}")]
        cells += [("pipeline-metrics", "\n".join(f"print(m_{name})" for name in VALUES))]
        write_notebook(self.folder / "n.ipynb", cells)
        done = self.nbci("run", "n.ipynb", "--json", *arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        metrics = dict(item for step in shown["steps"] for item in step.get("metrics", {}).items())
        results = {step["name"]: step["result"] for step in shown["steps"]}
        return {name: metrics[f"m_{name}"] for name in VALUES}, results


@pytest.fixture
def project(tmp_path: Path) -> ProjectOfValues:
    """A project that has not run yet."""
    return ProjectOfValues(tmp_path / "project", tmp_path / "cache")


def test_who_takes_a_value_depends_on_what_it_refers_to(project: ProjectOfValues) -> None:
    first, _ = project.run(1)
    assert first == {name: 7 if name == STEADY else 1 for name in VALUES}
    second, results = project.run(2)
    assert second == {**dict.fromkeys(VALUES, 2), STEADY: 7, "inherited": 1}
    assert results[STEADY] == "reused"
    why = project.nbci("why", "n.ipynb", "inherited", env=project.env).stdout
    assert (why.startswith("inherited: reuse"), "gone" in why) == (True, False)
    _, results = project.run(2)
    assert set(results.values()) == {"reused"}
    third, results = project.run(2, "-p", "FACTOR=5")
    assert third["inherited"] == 5
    assert (results[STEADY], results["member"]) == ("reused", "reused")
