"""The routes.

| | |
|---|---|
| `GET /` | the status page |
| `GET /api/fleet`, `GET /api/accounts/NAME` | what it shows, as JSON (`fleet_json`) |
| `GET /healthz` | 200 while the process and its loop are alive |
| `GET /readyz` | 200 when the source was had, a first pass was made, and it is not stopping |
| `GET /metrics` | for Prometheus; in OpenMetrics where that is asked for |
| `POST /sync` | asks for a pass now (`webhook`) |
"""

import time
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pulumi_pinata.core.secret import Secret
from reconciler.loop.board import Board
from reconciler.loop.view import FleetView
from reconciler.web import assets, fleet_json
from reconciler.web.strict import HEADERS, Strict
from reconciler.web.webhook import Webhook

SILENT_AFTER = 120.0  # seconds without a sign of the loop


def application(
    board: Board,
    *,
    metrics: Callable[[str], tuple[bytes, str]],
    sync: Callable[[], None],
    webhook_secret: Callable[[], Secret] | None,
    hosts: Sequence[str],
    clock: Callable[[], float] = time.monotonic,
    silent_after: float = SILENT_AFTER,
) -> Starlette:
    """The ASGI application over a board.

    `metrics` is given what the scraper accepts (the header) and gives a body and its content type; it is called in a
    thread of a pool. `sync` is called in the server's thread and must not wait. `webhook_secret` may raise PinataError:
    nobody is let in then. `hosts` are further names that the server goes by. `clock` is the one that the board's beats
    are of.
    """
    site = _Site(board, metrics, clock, silent_after)
    app = Starlette(
        routes=[
            Route("/", site.page),
            Route("/assets/{name}", site.asset),
            Route("/api/fleet", site.fleet),
            Route("/api/accounts/{name}", site.account),
            Route("/healthz", site.health),
            Route("/readyz", site.ready),
            Route("/metrics", site.metrics),
            Route("/sync", Webhook(sync, webhook_secret, lambda: board.view.stopping).answer, methods=["POST"]),
        ],
        middleware=[Middleware(Strict, hosts=hosts)],
        exception_handlers={Exception: _broken},
    )
    app.router.redirect_slashes = False
    return app


class _Site:
    def __init__(
        self,
        board: Board,
        metrics: Callable[[str], tuple[bytes, str]],
        clock: Callable[[], float],
        silent_after: float,
    ) -> None:
        self._board = board
        self._metrics = metrics
        self._clock = clock
        self._silent_after = silent_after
        self._assets = assets.load()
        self._snapshots = fleet_json.Snapshots()

    async def page(self, request: Request) -> Response:
        return assets.answer(request, self._assets["page.html"])

    async def asset(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return assets.answer(request, asset)

    async def fleet(self, request: Request) -> Response:
        snapshot = self._snapshots.of(self._board.view, silent=self._silence() > self._silent_after)
        headers = {"ETag": snapshot.etag, "Vary": "Accept-Encoding"}
        if assets.matches(request, snapshot.etag):
            return Response(status_code=304, headers=headers)
        body = snapshot.body
        if _takes_gzip(request):
            body, headers["Content-Encoding"] = snapshot.compressed, "gzip"
        return Response(body, media_type="application/json", headers=headers)

    async def account(self, request: Request) -> Response:
        found = self._board.view.accounts.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "No account of that name is known.\n")
        return Response(fleet_json.encoded(fleet_json.account(found)), media_type="application/json")

    async def health(self, request: Request) -> Response:
        silence = self._silence()
        if silence > self._silent_after:
            return PlainTextResponse(f"the loop has given no sign for {silence:.0f} s\n", 503)
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        why = _unready(self._board.view)
        return PlainTextResponse(f"{why}\n", 503) if why else PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        body, media_type = await run_in_threadpool(self._metrics, request.headers.get("accept", ""))
        # As a header, since Starlette would add a charset of its own to a media type.
        return Response(body, headers={"Content-Type": media_type, "Vary": "Accept"})

    def _silence(self) -> float:
        return self._board.silence(self._clock())


def _unready(view: FleetView) -> str | None:
    if view.stopping:
        return "it is stopping"
    if view.source.fetched_at is None:
        return "the manifests could not be had yet" if view.source.error else "the manifests are being fetched"
    return None if view.last else "the first pass has not ended yet"


def _takes_gzip(request: Request) -> bool:
    for each in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = each.replace(" ", "").lower().partition(";")
        if coding == "gzip":
            return not weight or weight.removeprefix("q=").strip("0.") != ""
    return False


async def _broken(request: Request, error: Exception) -> Response:
    # Starlette answers this outside of all middleware.
    return PlainTextResponse("Something is wrong here; see the log.\n", 500, {**HEADERS, "Cache-Control": "no-store"})
