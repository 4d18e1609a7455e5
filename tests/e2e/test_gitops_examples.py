"""examples/gitops, each as far as it can be run without its surroundings."""

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import pytest
import yaml
from ci_player import Machine, Played, github, gitlab, truth

from pulumi_pinata.sandbox.jwts import sign_eddsa
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.openbao_setup import AUDIENCE, Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer
from pulumi_pinata.sandbox.policies import PROVIDER_POLICY, TEXTS
from reconciler import starter
from reconciler.cli import cli
from reconciler.loop.board import Board
from reconciler.web.app import SILENT_AFTER, application
from reconciler.web.serving import serve

EXAMPLES = Path(__file__).parents[2] / "examples" / "gitops"
ROOT = EXAMPLES.parents[1]
MAIN, PROTECTED = "refs/heads/main", "  protect: true\n"


@dataclass
class Place:
    """Vault, Pinata with one account, a Git repository with an example in it, and a CI machine."""

    bao: OpenBao
    logins: Provisioned
    pinata: PinataServer
    folder: Path
    printed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account = self.pinata.add_account("prod")
        self.machine = Machine(self.folder / "machine")
        self.machine.program("gh", "cat comment.md > comment.posted")
        self.env = {"PINATA_API_URL": self.pinata.url}
        self.repository = self.folder / "repository"

    def start(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
            (self.repository / name).write_text(text)
        self.git("init", "--initial-branch=main", ".")
        self.commit()

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *who, *arguments], cwd=self.repository, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--message=change")

    def declare(self, more: str) -> None:
        """Add to what is declared of the one account, and commit it on the branch that is checked out."""
        with (self.repository / "manifests/pinata.yaml").open("a") as file:
            file.write(more)
        self.commit()

    def checkout(self, branch: str = "main") -> Path:
        """A fresh clone, as every job has."""
        where = self.folder / f"checkout{len(self.printed)}"
        subprocess.run(
            ["git", "clone", "--branch", branch, self.repository, where], check=True, capture_output=True, text=True
        )
        return where

    def done(self, played: Played) -> Played:
        self.printed.append(played.out)
        return played

    @property
    def key(self) -> str | None:
        try:
            data = self.bao.api.data("GET", "secret/data/pinata/prod")["data"]
        except BaoError:
            return None
        return str(data["PINATA_LLM_KEY"])

    @property
    def safe(self) -> bool:
        return self.key is not None and self.pinata.is_live("prod", self.key)

    def trust(self, page: str, **names: str) -> None:
        """Do in Vault what a README's commands do."""
        self.bao.api.call("PUT", "sys/policies/acl/pinata-write", {"policy": TEXTS[PROVIDER_POLICY]})
        done = []
        for path, body in re.findall(r"^vault (?:policy )?write (\S+) - <<'END'\n(.*?)^END$", page, re.S | re.M):
            for name, value in names.items():
                body = body.replace(name, value)
            if path.startswith("auth/"):
                self.bao.api.call("POST", path, json.loads(body))
            else:
                self.bao.api.call("PUT", f"sys/policies/acl/{path}", {"policy": body})
            done.append(path)
        assert ["pinata-read", "auth/jwt/role/pinata-plan", "auth/jwt/role/pinata-apply"] == done

    def token(self, **claims: str) -> str:
        """A job's identity, signed as the CI system signs it."""
        now = int(time.time())
        times = {"iat": now - 1, "nbf": now - 1, "exp": now + 300}
        return sign_eddsa({"iss": AUDIENCE, "aud": "pinata-reconciler", **times, **claims}, self.logins.signing_key)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with OpenBao() as bao, PinataServer() as pinata:
        place = Place(bao, bao.provision(), pinata, tmp_path)
        yield place
        keys = pinata.minted_keys("prod")
        assert [] == [s for s in (place.account.jwt, *keys) if any(s in text for text in place.printed)]


@contextmanager
def listening(answer: Callable[[http.server.BaseHTTPRequestHandler, bytes], bytes | None]) -> Iterator[str]:
    """An HTTP server; `answer` gives a body, or None for a 403."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200 if body is not None else 403)
            self.end_headers()
            self.wfile.write(body or b"")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Silence."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# --- GitHub Actions -----------------------------------------------------------------------------------------

ACTIONS = EXAMPLES / "github-actions"


def actions(place: Place, event: str, *, branch: str = "main", fork: bool = False, **given: object) -> Played:
    """Play the workflow for an event."""
    home = "team/fleet"
    head = {"repo": {"full_name": "somebody/fleet" if fork else home}}
    secrets = {"VAULT_TOKEN": place.bao.make_token([PROVIDER_POLICY]), "PINATA_JWT_PROD": place.account.jwt}
    context = {
        "github": {
            "event_name": event,
            "ref": "refs/pull/7/merge" if event == "pull_request" else f"refs/heads/{branch}",
            "repository": home,
            "token": "ghs_x",
            "event": {"number": "7", "pull_request": {"head": head}} if event == "pull_request" else {},
        },
        "secrets": {} if fork else secrets,
        "vars": {"VAULT_ADDR": place.bao.addr},
        "inputs": {},
        **given,
    }
    return place.done(github(place.machine, place.checkout(branch), context, place.env))


@pytest.fixture
def repository(place: Place) -> Place:
    place.start({name: (ACTIONS / name).read_text() for name in starter.files("default", "prod")})
    return place


def test_the_example_is_what_init_writes() -> None:
    written = starter.files("default", "prod")
    there = {str(file.relative_to(ACTIONS)): file.read_text() for file in ACTIONS.rglob("*") if file.is_file()}

    assert written == there


def test_a_pull_request_gets_the_plan_as_a_comment_and_changes_nothing(repository: Place) -> None:
    repository.git("checkout", "-b", "topic")
    repository.declare("  timeout: 10\n")

    played = actions(repository, "pull_request", branch="topic")

    assert (0, ["Install", "Validate", "Plan, as a comment"]) == (played.code, played.ran), played.out
    comment = (repository.folder / "checkout0" / "comment.posted").read_text()
    assert "### Pinata inference: 1 change(s)" in comment
    assert "| `+` | prod | create |" in comment
    said = ["pr", "comment", "7", "--edit-last", "--create-if-none", "--body-file", "comment.md"]
    assert said == repository.machine.said("gh")
    assert ["install", "pulumi-pinata[reconciler]"] == repository.machine.said("pip")
    assert not repository.pinata.state("prod").enabled


def test_a_push_to_main_is_applied_and_one_to_another_branch_is_not(repository: Place) -> None:
    repository.git("checkout", "-b", "topic")

    elsewhere = actions(repository, "workflow_dispatch", branch="topic")
    assert (0, ["Install", "Validate"], False) == (elsewhere.code, elsewhere.ran, repository.safe)

    played = actions(repository, "push")
    assert (0, "Apply", True) == (played.code, played.ran[-1], repository.safe), played.out


def test_the_nightly_job_fails_exactly_when_something_has_drifted(repository: Place) -> None:
    actions(repository, "push")

    assert 0 == actions(repository, "schedule").code
    repository.pinata.disable_out_of_band("prod")
    played = actions(repository, "schedule")

    assert (2, "Look for drift") == (played.code, played.ran[-1])
    assert "prod" in played.out
    assert not repository.pinata.state("prod").enabled


def test_a_pull_request_of_a_fork_is_checked_and_told_why_it_is_not_planned(repository: Place) -> None:
    played = actions(repository, "pull_request", fork=True, vars={"VAULT_LOGIN": "oidc"})

    assert (0, ["Install", "Validate", "Say why there is no plan"]) == (played.code, played.ran)
    assert "::warning::This pull request comes from a fork" in played.out
    assert [] == repository.machine.said("gh")


def test_a_broken_manifest_fails_where_it_is_broken(repository: Place) -> None:
    repository.declare("  credentails: env:X\n")

    played = actions(repository, "pull_request")

    assert (1, "Validate") == (played.code, played.ran[-1])
    assert re.search(r"manifests/pinata\.yaml:\d+:\d+: .*credentails", played.out)


def test_a_refused_outage_is_done_by_hand_with_the_checksum_that_the_job_named(repository: Place) -> None:
    repository.declare(PROTECTED)
    assert 0 == actions(repository, "push").code
    repository.declare("  inference: disabled\n")

    held = actions(repository, "push")
    (checksum,) = re.findall(r"--acknowledge ([0-9a-f]{64})", held.out)
    assert (1, True) == (held.code, repository.safe)

    done = actions(repository, "workflow_dispatch", inputs={"acknowledge": checksum})
    assert (0, False) == (done.code, repository.pinata.state("prod").enabled), done.out


def test_without_a_stored_token_main_may_write_and_a_pull_request_only_read(repository: Place) -> None:
    repository.trust((ACTIONS / "README.md").read_text(), **{"OWNER/REPOSITORY": "team/fleet"})
    manifest = repository.repository / "manifests/pinata.yaml"
    manifest.write_text(re.sub(r"# (vault:|  auth: .*?\}).*", r"\1", manifest.read_text()))
    assert "jwt" == next(yaml.safe_load_all(manifest.read_text()))["spec"]["vault"]["auth"]["method"]
    repository.commit()
    asked = []

    def identity(ref: str) -> Callable[[http.server.BaseHTTPRequestHandler, bytes], bytes | None]:
        def answer(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> bytes | None:
            asked.append((request.headers["Authorization"], parse_qs(urlsplit(request.path).query)["audience"]))
            token = repository.token(sub="x", repository="team/fleet", ref=ref)
            return json.dumps({"value": token}).encode()

        return answer

    def play(event: str, ref: str) -> Played:
        with listening(identity(ref)) as url:
            own = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "ask"}
            repository.env.update(own)
            given = {"vars": {"VAULT_ADDR": repository.bao.addr, "VAULT_LOGIN": "oidc"}}
            secrets = {"PINATA_JWT_PROD": repository.account.jwt}
            return actions(repository, event, secrets=secrets, **given)

    planned = play("pull_request", "refs/pull/7/merge")
    assert (0, "Plan, as a comment") == (planned.code, planned.ran[-1]), planned.out
    assert [("bearer ask", ["pinata-reconciler"])] == asked
    applied = play("push", MAIN)
    assert (0, True) == (applied.code, repository.safe), applied.out
    assert 0 == play("schedule", MAIN).code

    # What a changed workflow on another branch would try.
    foreign = repository.token(sub="x", repository="team/fleet", ref="refs/pull/7/merge")
    with pytest.raises(BaoError):
        repository.bao.api.auth("auth/jwt/login", {"role": "pinata-apply", "jwt": foreign})
    reader = repository.bao.api.auth("auth/jwt/login", {"role": "pinata-plan", "jwt": foreign})
    with pytest.raises(BaoError):
        repository.bao.api.with_token(reader).call("POST", "secret/data/pinata/prod", {"data": {}})


def test_the_workflow_has_few_permissions_pinned_actions_and_one_apply_at_a_time() -> None:
    workflow = yaml.safe_load((ACTIONS / ".github/workflows/pinata.yml").read_text())
    group = workflow["concurrency"].partition("${{")[2].partition("}}")[0]

    def of(event: str, ref: str) -> object:
        return truth(group, {"github.event_name": event, "github.ref": ref}.__getitem__)

    assert {"contents": "read", "pull-requests": "write", "id-token": "write"} == workflow["permissions"]
    used = [step["uses"] for step in workflow["jobs"]["pinata"]["steps"] if "uses" in step]
    assert ["actions/checkout@v4", "actions/setup-python@v5"] == used
    assert "apply" == of("push", MAIN) == of("workflow_dispatch", MAIN)
    assert "apply" not in (of("pull_request", "refs/pull/7/merge"), of("schedule", MAIN))
    texts = [step.get("run", "") for step in workflow["jobs"]["pinata"]["steps"]]
    assert not any("${{" in text for text in texts)  # nothing from outside is pasted into a shell


# --- GitLab CI ----------------------------------------------------------------------------------------------

GITLAB = EXAMPLES / "gitlab-ci"


class Notes:
    """GitLab's API, of which the pipeline uses one call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.bodies: list[str] = []

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> bytes | None:
        self.asked.append((f"{request.command} {request.path}", request.headers["PRIVATE-TOKEN"]))
        self.bodies += parse_qs(body.decode())["body"]
        return b"{}" if request.headers["PRIVATE-TOKEN"] == "glpat-note" else None


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def pipeline(place: Place, notes: Notes) -> Iterator[Callable[..., Played]]:
    place.start({name: (GITLAB / name).read_text() for name in (".gitlab-ci.yml", "manifests/pinata.yaml")})
    place.trust((GITLAB / "README.md").read_text(), **{"GROUP/PROJECT": "team/fleet"})
    with listening(notes.answer) as url:

        def play(source: str, *, fork: bool = False, **more: str) -> Played:
            merge = source == "merge_request_event"
            own = {
                "CI_PIPELINE_SOURCE": source,
                "CI_DEFAULT_BRANCH": "main",
                "CI_API_V4_URL": f"{url}/api/v4",
                **place.env,
                **({} if merge else {"CI_COMMIT_BRANCH": "main"}),
            }
            if merge:
                own |= {
                    "CI_MERGE_REQUEST_IID": "7",
                    "CI_MERGE_REQUEST_PROJECT_ID": "42",
                    "CI_MERGE_REQUEST_PROJECT_PATH": "team/fleet",
                    "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "somebody/fleet" if fork else "team/fleet",
                }
            if not fork:
                own |= {"VAULT_ADDR": place.bao.addr, "PINATA_JWT_PROD": place.account.jwt}
                own |= {"PINATA_NOTE_TOKEN": "glpat-note"}
            claims = {"sub": "x", "project_path": "team/fleet", "ref": "topic" if merge else "main"}
            claims |= {"ref_type": "branch", "ref_protected": "false" if merge else "true"}
            tokens = {"pinata-reconciler": place.token(**claims)}
            return place.done(gitlab(place.machine, place.checkout(), {**own, **more}, tokens))

        yield play


def test_a_merge_request_gets_the_plan_as_a_note(pipeline: Callable[..., Played], place: Place, notes: Notes) -> None:
    played = pipeline("merge_request_event")

    assert (0, ["validate", "plan"]) == (played.code, played.ran), played.out
    assert [("POST /api/v4/projects/42/merge_requests/7/notes", "glpat-note")] == notes.asked
    assert "| `+` | prod | create |" in notes.bodies[0]
    assert not place.pinata.state("prod").enabled
    assert "glpat-note" not in played.out


def test_a_note_that_is_refused_fails_the_job(pipeline: Callable[..., Played], notes: Notes) -> None:
    played = pipeline("merge_request_event", PINATA_NOTE_TOKEN="glpat-other")

    assert (1, 22) == (len(notes.asked), played.code)  # curl's code for an HTTP error


def test_a_merge_is_applied_and_the_schedule_finds_drift(pipeline: Callable[..., Played], place: Place) -> None:
    merged = pipeline("push")
    assert (0, ["validate", "apply"], True) == (merged.code, merged.ran, place.safe), merged.out

    assert (0, ["validate", "drift"]) == ((quiet := pipeline("schedule")).code, quiet.ran)
    place.pinata.disable_out_of_band("prod")
    assert 2 == pipeline("schedule").code


def test_a_merge_request_of_a_fork_is_checked_and_told_why(pipeline: Callable[..., Played], notes: Notes) -> None:
    played = pipeline("merge_request_event", fork=True)

    assert (0, ["validate", "fork"], []) == (played.code, played.ran, notes.asked)
    assert "comes from a fork and gets no secrets" in played.out


def test_a_refused_outage_is_done_by_hand_with_the_variable(pipeline: Callable[..., Played], place: Place) -> None:
    place.declare(PROTECTED)
    pipeline("push")
    place.declare("  inference: disabled\n")

    held = pipeline("push")
    (checksum,) = re.findall(r"--acknowledge ([0-9a-f]{64})", held.out)
    assert (1, True) == (held.code, place.safe)

    done = pipeline("web", ACKNOWLEDGE=checksum)
    assert (0, False) == (done.code, place.pinata.state("prod").enabled), done.out


def test_a_broken_manifest_is_neither_planned_nor_applied(pipeline: Callable[..., Played], place: Place) -> None:
    place.declare("  credentails: env:X\n")

    for source in ("merge_request_event", "push"):
        played = pipeline(source)
        assert (1, ["validate"]) == (played.code, played.ran)
        assert "credentails" in played.out


def test_branches_without_a_merge_request_start_no_pipeline(place: Place) -> None:
    place.start({".gitlab-ci.yml": (GITLAB / ".gitlab-ci.yml").read_text()})
    variables = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "topic", "CI_DEFAULT_BRANCH": "main"}

    assert [] == gitlab(place.machine, place.checkout(), variables, {}).ran


# --- systemd ------------------------------------------------------------------------------------------------

UNIT = EXAMPLES / "systemd" / "pinata-reconciler.service"
PROGRAM = "/opt/pinata-reconciler/bin/pinata-reconciler"


def settings_of_unit() -> dict[str, list[str]]:
    """Name to values; of a name that is there once, a list of one."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().replace("\\\n", "").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def analysed(tmp_path: Path) -> Callable[..., str]:
    """Runs systemd-analyze on the unit, with our own program where it names one that is not installed."""
    program = Path(sys.prefix, "bin", "pinata-reconciler")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, str(program)))

    def analyse(*verb: str) -> str:
        done = subprocess.run(["systemd-analyze", *verb, unit], capture_output=True, text=True)
        assert 0 == done.returncode, done.stderr
        return done.stdout + done.stderr

    try:
        subprocess.run(["systemd-analyze", "--version"], check=True, capture_output=True)
    except OSError:
        pytest.skip("systemd-analyze is not on this machine")
    return analyse


def test_systemd_has_no_objection_to_the_unit_and_finds_it_hardened(analysed: Callable[..., str]) -> None:
    assert "" == analysed("verify")  # an unknown setting is a line here, and no failure
    exposure = re.findall(r"Overall exposure level .*: ([\d.]+)", analysed("security", "--offline=true"))

    assert 2.0 > float(exposure[0])  # of 10


def test_the_unit_says_what_the_service_relies_on() -> None:
    unit = settings_of_unit()

    wanted = {
        "KillSignal": "SIGTERM",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "64",
        "StartLimitBurst": "5",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "DynamicUser": "yes",
        "StateDirectory": "pinata-reconciler",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }
    assert wanted == {name: unit[name][0] for name in wanted}
    assert 120 <= int(unit["TimeoutStopSec"][0])
    assert "@system-service" == unit["SystemCallFilter"][0]


def test_the_secrets_that_the_unit_and_the_manifest_name_are_loaded() -> None:
    loaded = {value.partition(":")[0] for value in settings_of_unit()["LoadCredential"]}
    texts = (UNIT.with_name("manifests") / "pinata.yaml").read_text() + UNIT.read_text()

    named = set(re.findall(r"file:(?:\$\{CREDENTIALS_DIRECTORY\}|/run/credentials/[\w.-]+)/([\w-]+)", texts))
    assert loaded == named


def test_the_units_command_is_one_that_the_program_takes() -> None:
    environment = dict(line.split("=", 1) for line in (UNIT.parent / "environment").read_text().splitlines())
    environment |= {"CREDENTIALS_DIRECTORY": "/run/credentials/x", "STATE_DIRECTORY": "/var/lib/x"}
    (line,) = settings_of_unit()["ExecStart"]
    words = shlex.split(re.sub(r"\$\{(\w+)\}", lambda match: environment[match[1]], line))

    run = parsed(words[1:])
    assert PROGRAM == words[0]
    assert (("manifests",), "https://git.example/fleet.git", "main") == (
        run.params["paths"],
        run.params["git"],
        run.params["ref"],
    )
    assert "file:/run/credentials/x/git-token" == run.params["git_token"]
    assert "/var/lib/x/audit.jsonl" == str(run.params["audit_log"])


def test_the_manifest_of_the_unit_is_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "--offline", str(UNIT.parent / "manifests")],
        env={**os.environ, "VAULT_ADDR": "https://vault.example"},
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stdout


def parsed(words: list[str]) -> click.Context:
    """The context of `run`, as click makes it of a command line."""
    assert "run" == words[0]
    above = click.Context(cli, auto_envvar_prefix=None)
    command = cli.get_command(above, "run")
    assert command
    return command.make_context("run", words[1:], parent=above)


# --- the container ------------------------------------------------------------------------------------------

CONTAINER = EXAMPLES / "container"


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (CONTAINER / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def final_stage() -> list[tuple[str, str]]:
    every = instructions()
    start = max(place for place, (word, _) in enumerate(every) if word == "FROM")
    return every[start:]


def test_all_that_the_image_copies_is_there_and_is_let_through() -> None:
    copied = [
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]
    let_through = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()

    assert copied
    assert [] == [source for source in copied if not (ROOT / source).exists()]
    assert "*" == let_through[0]
    assert {f"!{source}" for source in copied} == {line for line in let_through if line.startswith("!")}


def test_the_final_stage_is_small_pinned_and_not_root() -> None:
    every, final = instructions(), final_stage()
    bases = [rest.split()[0] for word, rest in every if word == "FROM"]
    users = [rest for word, rest in final if word == "USER"]

    assert ["python:3.12-slim"] * 2 == bases
    assert ["10001:10001"] == users
    installed = [rest for word, rest in final if word == "RUN"]
    assert 1 == len(installed)
    assert not re.search(r"\b(pip|gcc|build-essential|make)\b", installed[0])
    assert "git" in installed[0].split()
    assert not any(word in ("ARG", "ADD") for word, _ in every)
    assert not re.search(r"(?i)token|secret|password|jwt", "\n".join(rest for word, rest in every if word == "ENV"))


def test_the_images_command_is_one_that_the_program_takes() -> None:
    final = dict(final_stage())

    assert ["pinata-reconciler"] == json.loads(final["ENTRYPOINT"])
    run = parsed(json.loads(final["CMD"]))
    assert (("/fleet/manifests",), ("0.0.0.0", 8080)) == (run.params["paths"], run.params["http"])


def test_the_images_health_check_tells_a_live_loop_from_a_dead_one() -> None:
    check = json.loads(dict(final_stage())["HEALTHCHECK"].partition("CMD ")[2])
    now = [0.0]
    board = Board()
    board.beat(0.0)
    page = application(
        board,
        metrics=lambda: (b"", "text/plain"),
        sync=lambda: None,
        webhook_secret=None,
        hosts=(),
        clock=lambda: now[0],
    )

    with serve(page, "0.0.0.0", 0) as url:
        port = url.rpartition(":")[2]
        here = [sys.executable, *(word.replace(":8080/", f":{port}/") for word in check[1:])]
        codes = [subprocess.run(here, capture_output=True).returncode]
        now[0] = SILENT_AFTER + 1
        codes.append(subprocess.run(here, capture_output=True).returncode)

    assert ("python", [0, 1]) == (check[0], codes)


@pytest.mark.parametrize("page", sorted(EXAMPLES.rglob("README.md")), ids=lambda page: page.parent.name)
def test_every_file_that_a_readme_shows_by_name_is_beside_it(page: Path) -> None:
    named = re.findall(r"`((?:manifests/|\.github/|\.gitlab)[\w./-]+\.ya?ml)`", page.read_text())

    assert [] == [name for name in named if not (page.parent / name).exists()]
