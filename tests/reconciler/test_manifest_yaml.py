"""Text that is no manifest: not YAML as it may be, not ours, or more than its bounds; told with its place."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_text import API, HEAD, problems, read

from reconciler.manifest import parser as manifest_yaml
from reconciler.manifest.pages import FULL

WHOLE = {
    "another version": (
        HEAD.replace("v1alpha1", "v1"),
        ["1:13: apiVersion: must be pinata-reconciler.dev/v1alpha1. Did you mean `pinata-reconciler.dev/v1alpha1`?"],
    ),
    "another kind": (
        HEAD.replace("Inference", "Inferense"),
        ["2:7: kind: must be Inference or InferenceDefaults. Did you mean `Inference`?"],
    ),
    "neither version nor kind": (
        "metadata: {name: a}\nspec: {x: 1}\n",
        [
            "1:1: apiVersion: must be pinata-reconciler.dev/v1alpha1, and is missing.",
            "1:1: kind: must be Inference or InferenceDefaults, and is missing.",
        ],
    ),
    "a list": ("- name: a\n", ["1:1: a manifest is a group of apiVersion, kind, metadata and spec."]),
    "no metadata": (f"{API}kind: Inference\n", ["1:1: metadata: missing."]),
    "no name": (f"{API}kind: Inference\nmetadata: {{labels: {{}}}}\n", ["3:1: metadata.name: missing."]),
    "a name that is no label": (
        f"{API}kind: Inference\nmetadata:\n  name: My_Shop\n",
        [
            "4:9: metadata.name: must be 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end "
            "(an RFC 1123 label)."
        ],
    ),
    "a name that is a number": (
        f"{API}kind: Inference\nmetadata:\n  name: 007\n",
        ["4:9: `007` is octal in YAML 1.1, decimal in YAML 1.2. Leave out the leading 0, or quote it."],
    ),
    "an unknown part": (
        f"{HEAD}status: {{}}\n",
        ["5:1: status: no such field. Known: apiVersion, kind, metadata, spec."],
    ),
    "a key twice": (
        f"{HEAD}spec:\n  prune: true\n  prune: false\n",
        ["7:3: `prune` is given twice; the first is on line 6. Keep one."],
    ),
    "a merge key": (
        f"{HEAD}spec:\n  <<: {{prune: true}}\n",
        ["6:3: merge keys (`<<`) are not supported. Put what is shared into an InferenceDefaults."],
    ),
    "a tag": (
        f"{HEAD}spec:\n  account: !!python/object:os.system x\n",
        ["6:12: tags (`!…`) are not supported. Leave it out; quote what must be text."],
    ),
    "a key that is a list": (f"{HEAD}spec:\n  [x]: y\n", ["6:3: a key must be text."]),
    "an alias of nothing": (f"{HEAD}spec:\n  account: *x\n", ["6:12: *x refers to no anchor above it."]),
    "an alias of what it is in": (
        f"{HEAD}spec:\n  vault: &v {{auth: *v}}\n",
        ["6:20: *v refers to what it is part of."],
    ),
    "a tab": (f"{HEAD}spec:\n\tprune: true\n", ["6:1: a tab indents this line; YAML takes spaces only."]),
    "a tab after spaces": (
        f"{HEAD}spec:\n  vault:\n  \tmount: kv\n",
        ["7:3: a tab indents this line; YAML takes spaces only."],
    ),
    "a group that breaks off": (
        f"{HEAD}spec: {{prune: true\n",
        ["6:1: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping that began on line 5."],
    ),
    "a last line that breaks off": (
        f"{HEAD}spec: {{prune: true",
        ["5:19: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping that began on line 5."],
    ),
    "a colon too many": (
        f"{HEAD}spec: prune: true\n",
        ["5:12: not valid YAML: mapping values are not allowed in this context."],
    ),
    "latin-1": (
        HEAD.encode() + b"# \xe4\n",
        ["5:3: not UTF-8: byte 0xe4 at offset 81. Save the file as UTF-8."],
    ),
    "UTF-16": (HEAD.encode("utf-16"), ["1:1: not UTF-8: byte 0xff at offset 0. Save the file as UTF-8."]),
    "a control character": (f"{HEAD}# \x07\n", ["5:3: the character U+0007 is not allowed in YAML."]),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_file_that_is_no_manifest_is_told_with_its_place(tmp_path: Path, case: str) -> None:
    text, expected = WHOLE[case]

    found = read(tmp_path, text)

    assert [f"bad.yaml:{each}" for each in expected] == [str(problem) for problem in found.problems]
    assert () == found.accounts


def test_nesting_is_bounded_before_the_stack_is(tmp_path: Path) -> None:
    assert ["bad.yaml:1:33: nested more than 32 levels deep."] == problems(tmp_path, "[" * 500_000)


def test_nesting_by_aliases_is_bounded_too(tmp_path: Path) -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2000))

    assert ["bad.yaml:31:12: nested more than 32 levels deep, aliases written out."] == problems(tmp_path, text)


def test_a_bomb_of_aliases_is_stopped_at_its_bound(tmp_path: Path) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )

    assert ["bad.yaml:5:10: more than 10,000 values in one document, aliases written out."] == problems(tmp_path, text)


def test_bombs_in_many_documents_are_stopped_at_the_files_bound(tmp_path: Path) -> None:
    one = "---\n- &a [x, x, x, x, x, x, x, x, x]\n- &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" + "- *b\n" * 90
    found = problems(tmp_path, one * 100)

    assert ["bad.yaml:2806:3: more than 250,000 values in one file, aliases written out."] == found[-1:]


def test_a_key_may_not_be_a_book(tmp_path: Path) -> None:
    key = "k" * 2000

    assert ["bad.yaml:5:3: a key of more than 1024 characters."] == problems(tmp_path, f"{HEAD}? {key}\n: x\n")


def test_countless_mistakes_are_told_up_to_a_bound(tmp_path: Path) -> None:
    text = f"{HEAD}spec:\n" + "".join(f"  field{n}: x\n" for n in range(4000))

    assert 50 == len(problems(tmp_path, text))


def test_too_many_documents_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "---\n" * 10_002)

    assert ["bad.yaml:10001:1: more than 10,000 documents in one file. Split it."] == found


@pytest.mark.parametrize("case", ["a key twice", "a tab", "an alias of nothing", "a tag", "latin-1", "a merge key"])
def test_the_parser_without_its_c_part_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(manifest_yaml, "_Loader", yaml.SafeLoader)
    text, expected = WHOLE[case]

    assert [f"bad.yaml:{each}" for each in expected] == problems(tmp_path, text)


_PIECES = [
    "\t",
    '"',
    "'",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "&a ",
    "*a ",
    "<<: ",
    "!!x ",
    "? ",
    "|",
    "# ",
    "\0",
    "---\n",
    "\n",
]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(edits=st.lists(st.tuples(st.integers(0, len(FULL)), st.integers(0, 40), st.sampled_from(_PIECES)), max_size=5))
def test_whatever_is_done_to_a_manifest_it_loads_or_says_where_not(
    tmp_path: Path, edits: list[tuple[int, int, str]]
) -> None:
    text = FULL
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]

    found = read(tmp_path, text)

    assert all(1 <= problem.place.line <= text.count("\n") + 1 for problem in found.problems)
    assert not {account.name for account in found.accounts} & found.frozen
