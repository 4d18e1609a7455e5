"""Raw text in frames: what a handler that prints locals, a debugger or a crash reporter could see, and for how long."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pyrage
import pytest
import requests
from hostile import ECHOES, Middleman
from world import World

from pulumi_pinata import import_file, properties, wiring
from pulumi_pinata.adapters import escrow_age
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Location, Mode, Sealed
from pulumi_pinata.core.secret import PrivateKey

OURS = str(Path(wiring.__file__).parent)


def inputs(world: World, **more: Any) -> dict[str, Any]:
    checked, failures = properties.check(
        {
            "owner": f"pulumi:organization/proj/dev/{world.name}",
            "api_url": world.pinata.url,
            "vault": {"address": world.proxy.url, "path": world.path},
            "timeout": 1.0,
            **more,
        },
        {},
    )
    assert [] == failures
    return checked


def bring_up(world: World, checked: dict[str, Any]) -> None:
    settings = properties.settings(checked)
    with wiring.session(settings, notice=lambda line: None, environ=world.env) as found:
        converge(wiring.desired(settings, found.account, Mode.ENABLED, None), found.ports)


def holders(frame: FrameType | None, secrets: Callable[[], list[str]]) -> set[str]:
    """`module.function: local` for each frame of ours whose local shows a secret in its repr."""
    found = set()
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OURS) and "/sandbox/" not in code.co_filename:
            for name, value in frame.f_locals.items():
                text = repr(value) if isinstance(value, (str, bytes, dict, list, tuple)) else ""
                if text and any(secret in text for secret in secrets()):
                    found.add(f"{Path(code.co_filename).stem}.{code.co_name}: {name}")
        frame = frame.f_back
    return found


@contextmanager
def watched_network(monkeypatch: pytest.MonkeyPatch, secrets: Callable[[], list[str]]) -> Iterator[set[str]]:
    """Who of ours holds raw text while a call waits for the network."""
    found: set[str] = set()
    for kind in (httpx.Client, requests.Session):
        real = kind.request

        def request(self: Any, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
            reply = _real(self, *args, **kwargs)
            found.update(holders(sys._getframe(1), secrets))
            return reply

        monkeypatch.setattr(kind, "request", request)
    yield found
    monkeypatch.undo()


def secrets_of(world: World) -> Callable[[], list[str]]:
    return lambda: [*world.jwts, world.token, *world.pinata.minted_keys(world.name)]


def test_while_the_network_is_waited_for_no_frame_of_ours_holds_raw_text(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the write's own body, which is on its way."""
    with watched_network(monkeypatch, secrets_of(world)) as found:
        bring_up(world, inputs(world, timeout=20.0))
        bring_up(world, inputs(world, timeout=20.0, rotation_trigger="2"))

    assert {"vault_kv._put: data"} == found


def test_adopting_a_key_keeps_it_opaque_while_it_is_tried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    world.pinata.enable_out_of_band(world.name)
    key = world.pinata.minted_keys(world.name)[-1]
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": {"PINATA_LLM_KEY": key}})

    with watched_network(monkeypatch, secrets_of(world)) as found:
        import_file.build(
            world.name,
            f"pulumi:organization/proj/dev/{world.name}",
            {"vault": {"path": world.path}},
            take_over=False,
            adopt=True,
        )

    assert {"vault_kv._put: data"} == found


@pytest.mark.parametrize("kind", ["JSON 400", "redirect", "no HTTP at all"])
@pytest.mark.parametrize("liar", ["pinata", "vault"])
def test_a_handler_that_prints_locals_shows_no_secret_of_a_failure(world: World, kind: str, liar: str) -> None:
    """As cgitb, rich and crash reporters do; with every cause and context, suppressed or not."""
    target = world.pinata.url if liar == "pinata" else world.vault.addr
    with Middleman(target, lambda asked: ECHOES[kind](asked.all)) as middleman:
        where = {"api_url": middleman.url} if liar == "pinata" else {"vault": {"address": middleman.url}}
        with pytest.raises(PinataError) as caught:
            bring_up(world, inputs(world, **where))

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    ours = [secret for secret in secrets_of(world)() if secret in _without_the_test(shown)]
    assert [] == ours


def test_a_jwt_that_is_refused_leaves_nothing_of_its_payload_in_frames(world: World) -> None:
    with pytest.raises(PinataError) as caught:
        bring_up(world, inputs(world, account="somebody-else"))

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    told = [word for word in ("scopedKey", "@", world.account.id) if word in _without_the_test(shown)]
    assert [] == told


def _without_the_test(shown: str) -> str:
    """The frames of the product: the test's own hold the world, and with it everything."""
    blocks = shown.split('  File "')
    return "".join(block for block in blocks if block.startswith(OURS) or "site-packages" in block.partition('"')[0])


def test_sealing_leaves_no_raw_text_in_the_frames_of_its_failure(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    escrow = escrow_age.AgeEscrow(str(identity.to_public()), tmp_path / "nowhere")
    with pytest.raises(PinataError) as caught:
        escrow.seal(Sealed(PrivateKey("pnk-canary-4711"), "account", "run.1", Location("secret", "a"), "FIELD"))

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "canary" not in _without_the_test(shown)
