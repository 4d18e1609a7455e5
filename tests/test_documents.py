"""The documents point at what is there, and show the policy that is used."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_pinata.sandbox import policies

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXPECTED = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md")

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SCRIPT = re.compile(r"(?<![\w/.-])script/[\w./-]*\w")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_the_pages_of_the_root_are_all_there() -> None:
    assert [] == [name for name in EXPECTED if ROOT / name not in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    broken = [target for target in _relative_links(page) if not (page.parent / target).exists()]

    assert [] == broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_script_that_is_named_exists(page: Path) -> None:
    missing = [name for name in _SCRIPT.findall(page.read_text()) if not (ROOT / name).exists()]

    assert [] == missing


def test_the_decisions_are_numbered_without_gaps_and_titled_with_their_numbers() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [f"{n:04}" for n in range(1, len(pages) + 1)]

    assert numbers == [page.name[:4] for page in pages]
    assert [f"# {number}: " for number in numbers] == [page.read_text()[:8] for page in pages]


@pytest.mark.parametrize("policy", [policies.PROVIDER_POLICY, policies.READER_POLICY])
def test_the_security_page_shows_the_policies_of_the_sandbox(policy: str) -> None:
    # The sandbox has a second mount, for moves; the page shows what one mount needs.
    rules = re.findall(r'^path "(?!kv/).*?^}\n', policies.TEXTS[policy], re.MULTILINE | re.DOTALL)

    assert f"```hcl\n{''.join(rules)}```\n" in (ROOT / "SECURITY.md").read_text()


def _relative_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        path = target.partition("#")[0]
        if path and "://" not in path and not path.startswith("mailto:"):
            yield path
