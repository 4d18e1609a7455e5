"""The shape of the package: what loads Pulumi, what is public, how long a module may be, whether the map is current."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import pulumi_pinata

ROOT = Path(__file__).parent.parent
PACKAGES = ("pulumi_pinata", "reconciler")
MODULES = sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
LONGEST = 350


@pytest.mark.parametrize("module", ["pulumi_pinata", "pulumi_pinata.core.converge", "pulumi_pinata.wiring"])
def test_importing_a_part_of_the_core_leaves_pulumi_unloaded(module: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print('pulumi' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "False" == shown.stdout.strip()


def test_the_public_names_are_sorted() -> None:
    assert sorted(pulumi_pinata.__all__) == pulumi_pinata.__all__


def test_the_public_names_are_all_that_the_public_modules_define() -> None:
    defined = {
        name
        for home in set(pulumi_pinata._HOMES.values())
        for name, value in vars(import_module(f"pulumi_pinata.{home}")).items()
        if inspect.isclass(value) and value.__module__ == f"pulumi_pinata.{home}" and not name.startswith("_")
    }

    assert {*defined, "__version__"} == set(pulumi_pinata.__all__)


@pytest.mark.parametrize("name", pulumi_pinata.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(pulumi_pinata, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Inferense'"):
        pulumi_pinata.Inferense  # noqa: B018 - the access is the test


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_too_long_to_read_at_once(module: str) -> None:
    lines = len((ROOT / module).read_text().splitlines())

    assert lines <= LONGEST, f"{module} has {lines} lines: split it by what it knows"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_page_lists_every_module_and_no_other(package: str) -> None:
    there = [module for module in MODULES if module.startswith(f"{package}/")]
    # A folder's own line speaks for its __init__.py.
    named = [module for module in there if not module.endswith("/__init__.py")]

    assert named == sorted(each for each in _drawn(package) if not each.endswith("/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_page_says_something_about_every_module(package: str) -> None:
    silent = [line.strip() for line in _tree(package) if line.endswith(".py")]

    assert [] == silent


def _tree(package: str) -> list[str]:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    return page.partition(f"```\n{package}/\n")[2].partition("\n```")[0].splitlines()


def _drawn(package: str) -> Iterator[str]:
    folder = ""
    for line in _tree(package):
        name = line.split()[0]
        if name.endswith("/"):
            folder = name
        else:
            yield f"{package}/" + (folder if line.startswith("    ") else "") + name
