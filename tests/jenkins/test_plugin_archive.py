"""The archive of the compiled plugin: what Jenkins reads of it before it loads a class."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Final

import pytest

import nbci
from tests.support.tools import JENKINS_PLUGIN

pytestmark = pytest.mark.needs("jenkins-plugin")

_MANIFEST: Final = "META-INF/MANIFEST.MF"
_SYMBOLS: Final = "META-INF/annotations/org.jenkinsci.Symbol"


@pytest.fixture
def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(JENKINS_PLUGIN)


@pytest.fixture
def jar(archive: zipfile.ZipFile) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(archive.read("WEB-INF/lib/nbci.jar")))


def _manifest(archive: zipfile.ZipFile) -> dict[str, str]:
    """The main section; a line that begins with a space goes on with the one before."""
    text = archive.read(_MANIFEST).decode().replace("\r\n", "\n").replace("\n ", "")
    return dict(re.findall(r"^([A-Za-z-]+): (.*)$", text, flags=re.MULTILINE))


def test_both_manifests_name_the_plugin(archive: zipfile.ZipFile, jar: zipfile.ZipFile) -> None:
    """Without the inner one Jenkins refuses to save what the plugin's classes hold."""
    outer, inner = _manifest(archive), _manifest(jar)

    for manifest in (outer, inner):
        assert manifest["Short-Name"] == "nbci"
        assert manifest["Plugin-Version"] == nbci.__version__
        assert manifest["Jenkins-Version"] == "2.479"
        assert manifest["Minimum-Java-Version"] == "17"


def test_every_dependency_is_optional(archive: zipfile.ZipFile) -> None:
    dependencies = _manifest(archive)["Plugin-Dependencies"].split(",")

    assert dependencies
    assert [one for one in dependencies if not one.endswith(";resolution:=optional")] == []


def test_only_the_plugin_and_its_libraries_are_in_it(archive: zipfile.ZipFile) -> None:
    jars = [name for name in archive.namelist() if name.endswith(".jar")]

    assert sorted(jars) == ["WEB-INF/lib/gson-2.10.1.jar", "WEB-INF/lib/nbci.jar"]


def test_no_class_of_jenkins_is_shipped(jar: zipfile.ZipFile) -> None:
    """The stubs would take the place of Jenkins' own classes."""
    classes = [name for name in jar.namelist() if name.endswith(".class")]

    assert classes
    assert [name for name in classes if not name.startswith("io/nbci/jenkins/")] == []
    assert [name for name in classes if "/stubs/" in name] == []


def test_extensions_and_symbols_are_listed(jar: zipfile.ZipFile) -> None:
    classes = {
        name.removesuffix(".class").replace("/", ".")
        for name in jar.namelist()
        if name.endswith(".class")
    }
    # sezpoz writes serialized objects, of which the names can be read
    extensions = jar.read("META-INF/annotations/hudson.Extension")
    symbols = jar.read(_SYMBOLS).decode().split()

    assert symbols
    for name in symbols:
        assert name in classes
        assert name.encode() in extensions


def test_every_class_is_for_java_17(jar: zipfile.ZipFile) -> None:
    """The oldest Jenkins that the plugin runs on has it."""
    versions = {
        int.from_bytes(jar.read(name)[6:8], "big")
        for name in jar.namelist()
        if name.endswith(".class")
    }

    assert versions == {61}
