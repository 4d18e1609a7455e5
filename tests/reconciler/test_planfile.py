"""A saved plan: applied as it was read, or not at all."""

import json
from pathlib import Path

import pytest
from fake_fleet import FakeFleet, declared, manifest

from pulumi_pinata.core.errors import Refused
from reconciler import planfile
from reconciler.manifest.declared import Credits

WANTED = manifest(declared("a"), declared("b"))


@pytest.fixture
def fleet() -> FakeFleet:
    fleet = FakeFleet()
    fleet.apply(manifest(declared("a")))
    return fleet


@pytest.fixture
def saved(fleet: FakeFleet, tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    planfile.save(fleet.plan(WANTED), [Path("manifests")], file)
    return file


def test_a_plan_is_told_from_a_manifest_and_read_back(saved: Path, tmp_path: Path, fleet: FakeFleet) -> None:
    (tmp_path / "a.yaml").write_text("kind: Inference\n")
    loaded = planfile.load(saved)

    assert (True, False, False) == (
        planfile.is_plan(saved),
        planfile.is_plan(tmp_path / "a.yaml"),
        planfile.is_plan(tmp_path),
    )
    assert ((Path("manifests"),), []) == (loaded.paths, planfile.moved(loaded, fleet.plan(WANTED)))


@pytest.mark.parametrize(
    ("old", "new"),
    [('"create"', '"none"'), ('"manifests"', '"others"'), ('"shop"', '"shoq"'), ('"schema": 1', '"schema": 1.0')],
)
def test_a_plan_that_was_edited_by_hand_is_refused(saved: Path, old: str, new: str) -> None:
    text = saved.read_text()
    assert old in text
    saved.write_text(text.replace(old, new, 1))

    with pytest.raises(Refused, match="was changed after it was made"):
        planfile.load(saved)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"kind": "PinataFleetPlan"}', '{"seal": 1, "plan": []}', "[" * 9999]
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan").write_text(text)

    with pytest.raises(Refused, match="is no plan"):
        planfile.load(tmp_path / "plan")


def test_a_plan_of_another_version_is_refused(saved: Path) -> None:
    content = json.loads(saved.read_text())
    content.pop("seal")
    content["plan"]["schema"] = 2
    content["checksum"] = planfile.digest(content["plan"])
    saved.write_text(json.dumps({**content, "seal": planfile.digest(content)}))

    with pytest.raises(Refused, match="another version"):
        planfile.load(saved)


def test_whatever_moved_since_is_named(saved: Path, fleet: FakeFleet) -> None:
    loaded = planfile.load(saved)
    fleet.pinata("a").disable()
    changed = manifest(declared("a"), declared("c"), digest="other", fleet="shop")
    moved = planfile.moved(loaded, fleet.plan(changed))

    assert [
        "the manifests have changed",
        "a: kind none → create, condition Ready → Drifted",
        "b: is not there any more",
        "c: was not there",
    ] == moved


def test_an_apply_in_between_is_noticed_and_what_was_not_there_is_called_none(saved: Path, fleet: FakeFleet) -> None:
    fleet.apply(WANTED)

    lines = planfile.moved(planfile.load(saved), fleet.plan(WANTED))

    assert "another apply has written the fleet's inventory since" in lines
    (line,) = [line for line in lines if line.startswith("b: ")]
    assert "kind create → none, condition Off → Ready, version 0 → 1, fingerprint none → " in line


def test_a_top_up_that_moved_is_told_as_its_threshold_and_amount(tmp_path: Path, fleet: FakeFleet) -> None:
    wanted = manifest(declared("a", credits=Credits((10, 50))))
    planfile.save(fleet.plan(wanted), [], tmp_path / "plan")
    fleet.credit("a").config = (10, 50)

    moved = planfile.moved(planfile.load(tmp_path / "plan"), fleet.plan(wanted))

    assert ["a: kind credits → none, condition Drifted → Ready, topup 10/50 → none"] == moved


def test_a_plan_that_cannot_be_written_is_an_error_that_names_the_option(fleet: FakeFleet, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--out: .*cannot be written"):
        planfile.save(fleet.plan(WANTED), [], tmp_path / "no" / "plan")
