"""The stored formats: whatever is written comes back, and whatever else is found there is told apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_pinata.adapters import vault_documents as documents
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Content, Label, Location, Minted, Purpose, Record
from pulumi_pinata.core.secret import PrivateKey

names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,15}", fullmatch=True)
fields = words.filter(lambda name: name not in documents.RESERVED)
places = st.builds(Location, words, words)
minted = st.builds(
    Minted,
    location=places,
    version=st.integers(0, 10**6),
    fingerprint=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    attempt=names,
    field=fields,
    created_at=st.none() | names,
    marker=st.none() | names,
    trigger=st.none() | names,
)
records = st.builds(
    Record,
    version=st.integers(0, 10**6),
    open=st.booleans(),
    owner=names,
    purpose=st.sampled_from(Purpose),
    attempts=st.lists(names, min_size=1, max_size=32).map(tuple),
    location=places,
    source=st.none() | places,
    minted=st.none() | minted,
)


@given(key=names, attempt=names, field=fields)
def test_content_comes_back_as_it_was(key: str, attempt: str, field: str) -> None:
    data = documents.content_to_data(Content(PrivateKey(key), attempt, field), "https://x.test")
    found = documents.content_from_data(json.loads(json.dumps(data)))

    assert found is not None
    assert (key, attempt, field) == (found.key.reveal(), found.attempt, found.field)


@given(record=records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    data = json.loads(json.dumps(documents.record_to_data(record)))

    assert record == documents.record_from_data(data, record.version, "x")


@given(owner=names, account=names, minted=minted)
def test_a_label_comes_back_as_it_was(owner: str, account: str, minted: Minted) -> None:
    label = Label(owner, account, minted)

    assert label == documents.label_from_metadata(documents.label_to_metadata(label), minted.location)


@given(owner=names, account=names)
def test_a_released_label_comes_back_as_it_was(owner: str, account: str) -> None:
    label = Label(owner, account, None)

    assert label == documents.label_from_metadata(documents.label_to_metadata(label), Location("a", "b"))


@given(owner=names, account=names, minted=minted)
def test_label_values_are_text_and_never_empty_for_vault_takes_no_other(
    owner: str, account: str, minted: Minted
) -> None:
    metadata = documents.label_to_metadata(Label(owner, account, minted))

    assert all(isinstance(value, str) and value for value in metadata.values())
    assert all(name.startswith(documents.MARK) for name in metadata)
    assert len(metadata) <= 16


@given(
    data=st.dictionaries(names, st.none() | st.text() | st.integers() | st.lists(st.integers()) | st.booleans())
    | st.none()
)
def test_any_other_data_holds_no_key(data: dict[str, object] | None) -> None:
    assert documents.content_from_data(data) is None


@given(metadata=st.dictionaries(st.sampled_from(["pinata-owner", "pinata-account", "pinata-state", "x"]), names))
def test_any_other_metadata_holds_no_claim(metadata: dict[str, str]) -> None:
    label = documents.label_from_metadata(metadata, Location("a", "b"))

    assert label is None or label.minted is None


def test_a_key_written_over_by_hand_is_not_vouched_for() -> None:
    data = documents.content_to_data(Content(PrivateKey("key"), "a", "PINATA_LLM_KEY"), "https://x.test")

    assert documents.content_from_data({**data, "PINATA_LLM_KEY": "typo"}) is None


@pytest.mark.parametrize("name", ["version", "fingerprint", "field"])
def test_a_claim_that_lacks_a_part_is_no_label(name: str) -> None:
    label = Label("o", "a", Minted(Location("a", "b"), 1, "f", "t", "K"))
    metadata = documents.label_to_metadata(label)
    del metadata[f"pinata-{name}"]

    assert documents.label_from_metadata(metadata, Location("a", "b")) is None


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"purpose": "dance"}, {"location": None}, {"minted": {"version": "x"}}]
)
def test_a_record_that_was_tampered_with_is_refused(change: dict[str, object]) -> None:
    record = Record(1, True, "o", Purpose.MINT, ("a.1",), Location("a", "b"))

    with pytest.raises(Refused):
        documents.record_from_data({**documents.record_to_data(record), **change}, 1, "x")


@pytest.mark.parametrize("attempts", [[], None, "a.1", 7])
def test_a_record_without_a_list_of_attempts_is_refused(attempts: object) -> None:
    record = Record(1, True, "o", Purpose.MINT, ("a.1",), Location("a", "b"))

    with pytest.raises(Refused):
        documents.record_from_data({**documents.record_to_data(record), "attempts": attempts}, 1, "x")


def test_a_claim_whose_minted_part_is_broken_is_refused_and_not_read_as_no_key() -> None:
    record = Record(
        1, False, "o", Purpose.MINT, ("a.1",), Location("a", "b"), None, Minted(Location("a", "b"), 1, "f", "t", "K")
    )
    data = documents.record_to_data(record)
    del data["minted"]["fingerprint"]

    with pytest.raises(Refused):
        documents.record_from_data(data, 1, "x")
