"""Tells a webhook of events: queued by a pass, posted by a thread of its own, signed, tried again within bounds.

The URL is a secret, since whoever knows it can post: it is read anew for each try, and is in no log and no error.
"""

import hashlib
import hmac
import json
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from pulumi_pinata.core.address import is_loopback
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.secret import Secret
from reconciler.loop.events import Event
from reconciler.loop.listener import Listener
from reconciler.pacing import full_jitter

ABOUT = "--notify"
SLACK = ("hooks.slack.com", "hooks.slack-gov.com")
_TRIES = 6
_BASE, _CAP = 1.0, 60.0  # seconds between tries
_AT_ONCE = 500  # events of one post
_SHOWN = 20  # events in its text
_LONGEST = 300  # characters of an event's line
_log = logging.getLogger(__name__)


class Notifier(Listener):
    """Posts events to the URL that `url` reads, signed with the key that `key` reads.

    `on_result` hears "sent", "failed" or "dropped", once for each event. At most `capacity` events wait; more are
    dropped. `timeout` (seconds) bounds the connection, and each wait for a part of the answer.
    """

    def __init__(
        self,
        url: Callable[[], Secret],
        key: Callable[[], Secret] | None = None,
        *,
        on_result: Callable[[str], None] = lambda result: None,
        capacity: int = 5000,
        timeout: float = 10.0,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._key = key
        self._on_result = on_result
        self._capacity = capacity
        self._timeout = timeout
        self._dice = dice
        self._queue: deque[Event] = deque()
        self._change = threading.Condition()
        self._end: float | None = None
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self._thread.start()

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`; never waits."""
        with self._change:
            room = 0 if self._end is not None else max(0, self._capacity - len(self._queue))
            self._queue.extend(events[:room])
            self._change.notify()
        self._lost(len(events[room:]), "dropped", "no more of them can wait to be sent")

    def close(self, seconds: float = 10.0) -> None:
        """Send what is waiting, for so many seconds at most; the rest is dropped."""
        with self._change:
            if self._end is None:
                self._end = time.monotonic() + seconds
            self._change.notify()
        self._thread.join(seconds + 0.5)
        with self._change:
            left = len(self._queue)
            self._queue.clear()
        self._lost(left, "dropped", "the time for it was over at the end")

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._end is not None)
                if not self._queue or self._left() <= 0:
                    return
                batch = [self._queue.popleft() for _ in range(min(_AT_ONCE, len(self._queue)))]
            try:
                failure = self._deliver(batch)
            except Exception as error:  # the thread must outlive a defect, and no text of it may be shown
                failure = f"an unexpected {type(error).__name__} came up"
            if failure is None:
                self._count(len(batch), "sent")
            else:
                self._lost(len(batch), "failed", failure)

    def _deliver(self, batch: Sequence[Event]) -> str | None:
        """None once it was taken, else why it was not."""
        delivery = str(uuid.uuid4())
        failure = "no try was made"
        for attempt in range(_TRIES):
            asked = 0.0
            try:
                status, asked = self._post(delivery, batch)
            except PinataError as error:
                failure = str(error)
            else:
                if 200 <= status < 300:
                    return None
                failure = f"the webhook answered {status}"
                if status < 500 and status not in (408, 429):
                    break
            if attempt + 1 < _TRIES and not self._rest(max(asked, self._pause(attempt))):
                break
        return failure

    def _post(self, delivery: str, batch: Sequence[Event]) -> tuple[int, float]:
        """The answer's status and Retry-After (seconds; 0 where there is none). Raises PinataError without one."""
        import httpx

        class Unseen(httpx.URL):
            """httpx logs the URL of each request, at INFO."""

            def __str__(self) -> str:
                return f"{self.scheme}://{self.host}/…"

            __repr__ = __str__

        url = checked(self._url().reveal())
        content = body(batch, delivery, slack=urlsplit(url).hostname in SLACK)
        headers = {"Content-Type": "application/json", "X-Pinata-Delivery": delivery}
        if self._key:
            headers["X-Pinata-Signature"] = signature(content, self._key(), int(time.time()))
        limit = max(0.1, min(self._timeout, self._left()))
        try:
            with httpx.Client(timeout=limit, trust_env=not is_loopback(url)) as client:
                request = client.build_request("POST", url, content=content, headers=headers)
                request.url = Unseen(url)
                with closing(client.send(request, stream=True, follow_redirects=False)) as answer:
                    asked = answer.headers.get("Retry-After", "")
                    return answer.status_code, min(float(asked), _CAP) if asked.isascii() and asked.isdigit() else 0.0
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PinataError(f"the webhook could not be reached ({type(error).__name__})") from None

    def _pause(self, attempt: int) -> float:
        return full_jitter(attempt, base=_BASE, cap=_CAP, dice=self._dice)

    def _rest(self, seconds: float) -> bool:
        """Wait before the next try; False when the end comes first."""
        until = time.monotonic() + seconds
        with self._change:
            while (wait := until - time.monotonic()) > 0:
                if wait > self._left():
                    return False
                self._change.wait(min(wait, self._left()))
        return True

    def _left(self) -> float:
        return float("inf") if self._end is None else self._end - time.monotonic()

    def _lost(self, count: int, result: str, why: str) -> None:
        if count:
            _log.warning("%d notification(s) %s: %s", count, result, why)
            self._count(count, result)

    def _count(self, count: int, result: str) -> None:
        for _ in range(count):
            self._on_result(result)


def checked(url: str) -> str:
    """The URL of a webhook, as it is. Raises Refused, and never quotes it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.username is not None:
        raise Refused("this is not the URL of a webhook.", about=ABOUT, hint="Write https://host/path into it.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise Refused(
            "events would go out unencrypted.", about=ABOUT, hint="Use https; http is for 127.0.0.1 and localhost."
        )
    return url


def signature(content: bytes, key: Secret, at: int) -> str:
    """The header that vouches for a body and the moment `at` (unix seconds) it was sent."""
    code = hmac.new(key.reveal().encode(), f"{at}.".encode() + content, hashlib.sha256)
    return f"t={at},v1={code.hexdigest()}"


def body(events: Sequence[Event], delivery: str, *, slack: bool = False) -> bytes:
    """The JSON of one post. Slack documents no further fields beside `text`, so it gets none."""
    data: dict[str, Any] = {"text": _text(events)}
    if not slack:
        data |= {"delivery": delivery, "events": [_data(event) for event in events]}
    return json.dumps(data, separators=(",", ":")).encode()


def _text(events: Sequence[Event]) -> str:
    lines = [_line(event) for event in events[:_SHOWN]]
    if len(events) > _SHOWN:
        lines.append(f"and {len(events) - _SHOWN} more")
    return "\n".join(lines)


def _line(event: Event) -> str:
    name = f"{event.fleet}/{event.account}" if event.account else event.fleet or "pinata-reconciler"
    line = " ".join(f"{name}: {event.kind.value}: {event.message}".split())
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    # What is markup to Slack; without it nothing in a text can call a channel or hide a link.
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _data(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind.value,
        "at": event.at.isoformat(),
        "fleet": event.fleet,
        "account": event.account,
        "path": event.path,
        "version": event.version,
        "fingerprint": event.fingerprint,
        "commit": event.commit,
        "run": event.run,
        "message": event.message,
    }
