"""Which accounts a fleet manages: stored without a secret, read back whole, written under check-and-set."""

import json
from collections.abc import Mapping
from dataclasses import replace
from threading import Barrier

import pytest
from fake_fleet import FLEET, FakeDocuments, FakeFleet, declared, manifest, settings

from pulumi_pinata import properties
from pulumi_pinata.core.errors import Ambiguous, Conflict, Refused, Transient
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.wiring import Connections
from reconciler import inventory
from reconciler.inventory import Entry, Inventory, counted, home_document, home_of
from reconciler.ledger import Ledger
from reconciler.settings_document import from_document, to_document

PATH = f"{inventory.FLEETS}/{FLEET}"
AUTHS = [
    None,
    {"method": "token", "token": "file:/run/token"},
    {"method": "approle", "role_id": "env:ROLE", "secret_id": "file:/run/secret"},
    {"method": "approle", "role_id": "plain", "secret_id": "env:S", "mount": "approle-ci"},
    {"method": "kubernetes", "role": "fleet"},
    {"method": "jwt", "role": "fleet", "jwt": "file:/jwt"},
    {"method": "userpass", "username": "me", "password": "env:P"},
]


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("credentials", ["env:JWT", "file:/run/jwt", "vault:kv//a/b#jwt"])
def test_settings_survive_the_way_into_a_document_and_back(auth: object, credentials: str) -> None:
    vault = {"auth": auth, "namespace": "team", "custom_metadata": {"team": "search"}, "field": "KEY"}
    given = settings("a", credentials=credentials, account="me@example", adopt="remint", vault=vault)
    document = to_document(given)

    assert given == from_document(json.loads(json.dumps(document)))
    assert (document, []) == properties.check(document, {})  # and it is what a Pulumi program would declare


def entry(name: str, **inputs: object) -> Entry:
    return Entry(name, f"account-{name}", to_document(settings(name, **inputs)), prune=True, declared="d1")


def written(*entries: Entry) -> FakeDocuments:
    documents = FakeDocuments()
    everything = {each.name: each for each in entries}
    inventory.update(documents, FLEET, Inventory(), lambda known: everything, [home_document(settings("a"))])
    return documents


def test_what_is_written_is_read_back_whole() -> None:
    entries = [
        entry("a"),
        replace(entry("b", vault={"auth": AUTHS[2]}), prune=False, protect=True, day="2026-11-24", mints=3),
        entry("c", account="someone", vault={"custom_metadata": {"x": "y"}}),
    ]

    found = inventory.read(written(*entries), FLEET)

    assert (1, {each.name: each for each in entries}) == (found.version, dict(found.entries))
    assert [home_of(settings("z"))] == [home_of(from_document(document)) for document in found.homes]


def test_a_thousand_accounts_fit_into_a_quarter_of_what_vault_takes_for_one_secret() -> None:
    documents = written(*(entry(f"account_{n:04}", vault={"auth": AUTHS[2]}) for n in range(1000)))

    assert len(json.dumps(documents.documents[PATH][0])) < 1024 * 1024 / 4


def test_a_real_vault_takes_the_inventory_of_three_thousand_accounts(bao: OpenBao, logins: Provisioned) -> None:
    auth = {"method": "approle", "role_id": logins.provider.role_id, "secret_id": "env:S"}
    vault = {"address": bao.addr, "auth": auth}
    entries = {f"a_{n}": entry(f"a_{n}", vault={"auth": AUTHS[2]}) for n in range(3000)}
    with Connections({"S": logins.provider.secret_id}) as connections:
        documents = connections.store(settings("a", vault=vault).vault, 5.0)
        inventory.update(documents, "large", Inventory(), lambda known: entries, [])

        assert entries == inventory.read(documents, "large").entries


def test_nothing_is_written_where_nothing_changes() -> None:
    documents = written(entry("a"))
    known = inventory.read(documents, FLEET)

    after = inventory.update(documents, FLEET, known, lambda entries: dict(entries), [])

    assert (known, 1) == (after, documents.writes)


def test_two_writers_lose_nothing_of_each_other() -> None:
    documents = written(entry("a"))
    known = inventory.read(documents, FLEET)

    def rival() -> None:
        inventory.update(documents, FLEET, known, lambda entries: {**entries, "b": entry("b")}, [])

    documents.before_write = rival
    inventory.update(documents, FLEET, known, lambda entries: {**entries, "c": entry("c")}, [])

    assert ["a", "b", "c"] == sorted(inventory.read(documents, FLEET).entries)


def test_a_write_whose_reply_was_lost_is_not_written_twice() -> None:
    class Losing(FakeDocuments):
        def put_document(self, path: str, data: Mapping[str, object], cas: int) -> int:
            super().put_document(path, data, cas)
            raise Ambiguous("lost")

    documents = Losing()
    after = inventory.update(documents, FLEET, Inventory(), lambda known: {**known, "a": entry("a")}, [])

    assert (1, 1) == (documents.writes, after.version)


def test_others_that_keep_on_writing_are_a_conflict() -> None:
    class Busy(FakeDocuments):
        def put_document(self, path: str, data: Mapping[str, object], cas: int) -> int:
            raise Conflict("changed")

    with pytest.raises(Conflict, match="Let one apply run at a time"):
        inventory.update(Busy(), FLEET, Inventory(), lambda known: {"a": entry("a")}, [])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"schema": 1},
        {"schema": 1, "common": "[", "accounts": "{}", "homes": "[]"},
        {"schema": 1, "common": "{}", "accounts": '{"a": {}}', "homes": "[]"},
        {"schema": 1, "common": "{}", "accounts": "[]", "homes": "[]"},
    ],
)
def test_a_document_that_was_edited_by_hand_is_refused(data: dict[str, object]) -> None:
    documents = FakeDocuments()
    documents.documents[PATH] = (data, 3)

    with pytest.raises(Refused, match="edited by hand"):
        inventory.read(documents, FLEET)


def test_a_document_of_a_later_version_is_left_alone() -> None:
    documents = FakeDocuments()
    documents.documents[PATH] = ({"schema": 2}, 3)

    with pytest.raises(Refused, match="newer version"):
        inventory.read(documents, FLEET)


def test_the_inventories_of_many_homes_are_read_side_by_side() -> None:
    all_at_once = Barrier(4)

    class Slow(FakeDocuments):
        def document(self, path: str) -> tuple[Mapping[str, object] | None, int]:
            all_at_once.wait(30)
            return super().document(path)

    fleet = FakeFleet()
    places = [settings(name, vault={"address": f"https://{name}.example"}) for name in "abcd"]
    fleet.homes = {str(home_of(place)): Slow() for place in places}
    fleet.documents(places[3]).down = Transient("no answer.")

    ledger = Ledger.read(manifest(*(replace(declared("a"), settings=place) for place in places)), fleet)

    assert ({home_of(place) for place in places[:3]}, {home_of(places[3])}) == (
        set(ledger.inventories),
        set(ledger.failures),
    )


def test_mints_are_counted_by_the_day() -> None:
    once = counted(entry("a"), "2026-11-24")

    assert (1, 2, 1) == (once.mints, counted(once, "2026-11-24").mints, counted(once, "2026-11-25").mints)


def test_no_secret_is_in_it() -> None:
    fleet = FakeFleet()
    wanted = manifest(declared("a"))
    fleet.apply(wanted)

    stored = json.dumps(fleet.documents(wanted.accounts[0].settings).documents)

    assert "env:a" in stored
    assert str(fleet.pinata("a").live) not in stored


def test_a_former_home_is_reached_as_is_declared_now_but_one_that_is_still_used_as_its_accounts_say() -> None:
    fleet = FakeFleet()
    old = settings("a", vault={"auth": {"method": "token", "token": "env:THEN"}})
    now = settings("a", vault={"auth": {"method": "token", "token": "env:NOW"}})
    fleet.apply(manifest(replace(declared("a"), settings=old)))
    elsewhere = declared("a", inputs={"vault": {"address": "https://new.example"}})

    left = Ledger.read(manifest(elsewhere, former=(now,)), fleet)
    used = Ledger.read(manifest(replace(declared("b"), settings=old), former=(now,)), fleet)

    for expected, ledger in ((now, left), (old, used)):
        found = ledger.elsewhere("a", home_of(elsewhere.settings))
        assert found
        assert expected.vault == found.settings().vault
