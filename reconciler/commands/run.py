"""`pinata-reconciler run`: puts the loop together with all that listens to it."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import click

from pulumi_pinata import __version__, credentials
from pulumi_pinata.core.address import is_loopback
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.wiring import Connections
from reconciler.commands import options, passes
from reconciler.listeners import logs
from reconciler.listeners.audit import AuditLog
from reconciler.listeners.log_lines import LogListener
from reconciler.listeners.metrics import Metrics
from reconciler.listeners.notify import Notifier, checked
from reconciler.listeners.tracing import tracing
from reconciler.loop.board import Board
from reconciler.loop.cycle import Cycle
from reconciler.loop.listener import Listener, Listeners
from reconciler.loop.loop import Cut, Intervals, Loop, Surroundings
from reconciler.loop.source import Folder, Source
from reconciler.manifest import manifests
from reconciler.upstreams import Upstreams

_EPILOG = """
\b
examples:
  pinata-reconciler run manifests/ --http 127.0.0.1:8080
  pinata-reconciler run --git https://git.example/fleet.git --ref main manifests/
  pinata-reconciler run --git ssh://git@git.example/fleet.git --allowed-signers signers manifests/

\b
signals: SIGTERM, Ctrl-C: finish what was begun, then end; SIGHUP: sync now
exit codes: 0 stopped, 1 it could not start
"""
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    match = _DURATION.fullmatch(value)
    if not match or not 1 <= (seconds := int(match[1]) * _UNITS[match[2]]) <= 7 * 86400:
        raise click.BadParameter(f"{value!r} is not a duration such as 30s, 5m or 2h (1s to 7d).")
    return float(seconds)


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not (port.isdecimal() and int(port) < 65536):
        raise click.BadParameter(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080.")
    return host.strip("[]") or "127.0.0.1", int(port)


@click.command("run", epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--git", metavar="URL", help="Follow a Git repository; the PATHs are folders or files in it.")
@click.option("--ref", default="main", show_default=True, help="Branch, tag or commit to follow.")
@click.option("--git-token", metavar="REF", help="env:NAME or file:PATH: token for the repository, read at each look.")
@click.option(
    "--allowed-signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Follow only commits signed by one of these (ssh-keygen's allowed_signers file).",
)
@click.option(
    "--poll", callback=_seconds, default="60s", metavar="TIME", show_default=True, help="Ask the source so often."
)
@click.option(
    "--interval",
    callback=_seconds,
    default="5m",
    metavar="TIME",
    show_default=True,
    help="Look at all accounts so often.",
)
@click.option(
    "--http",
    callback=_address,
    metavar="HOST:PORT",
    help="Serve status page, /metrics, /healthz, /readyz and POST /sync here.",
)
@click.option("--http-host", multiple=True, metavar="NAME", help="A further name that the page answers to.")
@click.option("--webhook-secret", metavar="REF", help="env:NAME or file:PATH: what POST /sync has to know.")
@click.option("--notify", metavar="REF", help="env:NAME or file:PATH: URL of a webhook to be told of what happens.")
@click.option("--notify-secret", metavar="REF", help="env:NAME or file:PATH: key to sign notifications with.")
@options.audit_log
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]), default="auto", show_default=True)
@options.workers
@options.rate
@options.limits
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Keep the accounts declared in PATH (files or folders; default: here) as declared, until stopped.

    Follows changes of the manifests, and finds and heals drift between them. The guards hold as for apply; what they
    hold back, `apply --acknowledge` does, run by a person on the same manifests. While they hold all of a commit, drift
    of what was agreed on before is still healed.
    """
    log = logs.configure(given["log_format"])
    try:
        with ExitStack() as stack:
            _follow(paths, given, log, stack)
    except PinataError as error:
        # Not by click: programs read this log, and most of all when it ends.
        log.error("could not start", error=str(error))  # noqa: TRY400 - class and place are not what is wrong
        return 1
    log.info("stopped")
    return 0


def _follow(paths: tuple[str, ...], given: dict[str, Any], log: logs.Log, stack: ExitStack) -> None:
    """Put it together, and run it until it is stopped."""
    stop, board = threading.Event(), Board()
    source = _source(paths, given, stack)
    heard: list[Listener] = []
    listener = Listeners(
        heard, lambda error: log.error("a listener failed", **logs.caught(type(error), error.__traceback__))
    )
    connections = stack.enter_context(Connections(size=given["workers"], lasting=True))
    access = Upstreams(connections, rate=given["rate"], called=listener.called, stop=stop)
    unwell: set[str] = set()
    cycle = Cycle(access, board, listener, options.limits_of(given), given["workers"], stop, passes.now)
    around = Surroundings(
        load=lambda checkout: manifests.load(checkout.paths, os.environ, root=checkout.root),
        slow=access.slow,
        content=lambda settings: credentials.content_digest(settings, os.environ),
        keep_alive=lambda: _kept_alive(connections, log, unwell),
        broken=lambda error: log.error("a defect", **logs.caught(type(error), error.__traceback__)),
    )
    loop = Loop(source, cycle, around, Intervals(given["poll"], given["interval"]))
    metrics, others = _listeners(given, board, access, connections, log, stack)
    heard += others
    url = stack.enter_context(_page(given, board, loop, metrics, log))
    stack.enter_context(_signals(loop, log))
    log.info("following", source=source.name, page=url, version=__version__)
    loop.run()


def _kept_alive(connections: Connections, log: logs.Log, unwell: set[str]) -> float:
    """Renew what is due; what is wrong with a login is told once, long before an account fails by it."""
    due = connections.keep_alive()
    now = {str(problem) for problem in connections.login_problems()}
    for problem in sorted(now - unwell):
        log.warning("the login to Vault cannot be renewed", error=problem)
    unwell.clear()
    unwell.update(now)
    return due


def _source(paths: tuple[str, ...], given: dict[str, Any], stack: ExitStack) -> Source:
    if not given["git"]:
        for name in ("git_token", "allowed_signers"):
            if given[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs --git.")
        return Folder([Path(path) for path in paths] or list(passes.HERE))
    from reconciler.git.source import GitSource

    token = _secret(given["git_token"], "--git-token")
    source = GitSource(given["git"], given["ref"], paths, token=token, allowed_signers=given["allowed_signers"])
    return stack.enter_context(source)


def _secret(text: str | None, about: str) -> Callable[[], Secret] | None:
    """A reader of what a reference leads to; read once now, so that a mistake shows at the start."""
    if text is None:
        return None
    read = credentials.local_secret(text, about, os.environ)
    read()
    return read


def _listeners(
    given: dict[str, Any], board: Board, access: Upstreams, connections: Connections, log: logs.Log, stack: ExitStack
) -> tuple[Metrics, list[Listener]]:
    """All that listens, the audit log first: what it cannot take is not done."""
    metrics = Metrics(board, budget=access.budget, login_expiry=connections.login_expiry)
    heard: list[Listener] = [metrics, LogListener(log)]
    if given["audit_log"]:
        heard.insert(0, stack.enter_context(closing(AuditLog(given["audit_log"], "run"))))
    if url := _secret(given["notify"], "--notify"):
        checked(url().reveal())
        key = _secret(given["notify_secret"], "--notify-secret")
        notifier = Notifier(url, key, on_result=metrics.notified)
        stack.callback(notifier.close)
        heard.append(notifier)
    elif given["notify_secret"]:
        raise click.UsageError("--notify-secret needs --notify.")
    if traces := tracing(__version__, lambda line: log.warning(line)):
        stack.callback(traces.close)
        heard.append(traces)
    return metrics, heard


@contextmanager
def _page(given: dict[str, Any], board: Board, loop: Loop, metrics: Metrics, log: logs.Log) -> Iterator[str | None]:
    """The HTTP side, if it is wanted; gives its URL."""
    if not given["http"]:
        for name in ("http_host", "webhook_secret"):
            if given[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} needs --http.")
        yield None
        return
    from reconciler.web.app import application
    from reconciler.web.serving import serve

    host, port = given["http"]
    if not is_loopback(f"http://{host}"):
        log.warning("the page has no login: whoever reaches this address can read it", address=f"{host}:{port}")
    app = application(
        board,
        metrics=metrics.render,
        sync=loop.sync,
        webhook_secret=_secret(given["webhook_secret"], "--webhook-secret"),
        hosts=(host, *given["http_host"]),
    )
    with serve(app, host, port) as url:
        yield url


@contextmanager
def _signals(loop: Loop, log: logs.Log) -> Iterator[None]:
    """What signals ask for is done by a thread: a handler interrupts code that may hold the very lock it would need."""
    asked: SimpleQueue[int] = SimpleQueue()  # its `put` may interrupt itself

    def heard(number: int, _frame: FrameType | None) -> None:
        asked.put(number)
        if number != signal.SIGHUP and loop.fetching:
            loop.fetching = False  # once: a second signal must not cut off the cleaning up
            raise Cut

    def obey() -> None:
        while number := asked.get():
            if number == signal.SIGHUP:
                loop.sync()
            else:
                log.info("stopping", signal=signal.Signals(number).name, note="what was begun is finished first")
                loop.stop()

    before = {each: signal.signal(each, heard) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    thread = threading.Thread(target=obey, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(0)
        thread.join()
