"""What README shows must work as it stands there."""

import re
from pathlib import Path

from engine import Engine
from provider_process import ProviderProcess
from world import World

README = Path(__file__).resolve().parents[2] / "README.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_program_in_readme_runs(world: World, engine: Engine) -> None:
    (engine.project / "__main__.py").write_text(block("python"))

    engine.run("up")
    assert {"vault_path": "shop/llm"} == engine.outputs()
    assert world.key_is_live("shop/llm")
    engine.run("destroy")
    assert not world.pinata.state(world.name).enabled


def test_the_vault_policy_in_readme_is_all_that_a_whole_life_needs(world: World, provider: ProviderProcess) -> None:
    world.vault.api.call("PUT", "sys/policies/acl/readme", {"policy": block("hcl")})
    token = world.folder / "token"
    token.write_text(world.vault.make_token(["readme"]))
    declared = {
        "owner": f"pulumi:organization/proj/dev/{world.name}",
        "api_url": world.pinata.url,
        "credentials": f"file:{world.jwt_file}",
        "vault": {"address": world.vault.addr, "auth": {"method": "token", "token": f"file:{token}"}},
    }

    def inputs(**changes: object) -> dict[str, object]:
        checked, failures = provider.check({**declared, **changes})
        assert {} == failures
        return checked

    id_, outs = provider.create(inputs())
    outs = provider.update(id_, outs, inputs(rotation_trigger=2))
    world.vault.api.call("DELETE", f"secret/data/{world.path}")
    _, seen = provider.read(id_, outs)
    outs = provider.update(id_, seen, inputs(rotation_trigger=2))
    moved = {**declared["vault"], "path": f"{world.path}/moved"}  # type: ignore[dict-item]
    outs = provider.update(id_, outs, inputs(rotation_trigger=2, vault=moved, on_delete="destroy"))
    assert (2, True) == (world.mints, world.key_is_live(f"{world.path}/moved"))
    provider.delete(id_, outs)
    assert not world.pinata.state(world.name).enabled
