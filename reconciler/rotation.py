"""Whether a key is due for replacement by its age, and whether now is a time for it; pure."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from reconciler.manifest.declared import Rotation, Window

_MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138


def created(text: str | None) -> datetime | None:
    """The moment that Pinata's `createdAt` names, in any form that it may come; None where it names none.

    Its form is not documented: ISO 8601 with any number of digits, or seconds or milliseconds since 1970.
    """
    if not text:
        return None
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return _iso(text)
    try:
        seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    # Python 3.10 reads neither a Z nor fractions of other than three or six digits.
    head, dot, tail = text.replace("Z", "+00:00").replace("z", "+00:00").partition(".")
    if dot:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        head = f"{head}.{digits[:6].ljust(6, '0')}{tail[len(digits) :]}" if digits else text
    try:
        moment = datetime.fromisoformat(head)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def due_at(rotation: Rotation, created_at: str | None) -> datetime | None:
    """When the key reaches its declared age; None where it has no such or its age is not known."""
    born = created(created_at)
    if rotation.max_age is None or born is None:
        return None
    try:
        return born + rotation.max_age
    except OverflowError:
        return None


def is_due(rotation: Rotation, created_at: str | None, now: datetime) -> bool:
    """Whether the key is to be replaced now: old enough, and in the maintenance window if there is one."""
    due = due_at(rotation, created_at)
    return due is not None and due <= now and (rotation.window is None or is_open(rotation.window, now))


def is_open(window: Window, now: datetime) -> bool:
    """Whether the window is open; one that reaches past midnight belongs to the day on which it opened."""
    local = now.astimezone(ZoneInfo(window.zone))
    minute = local.hour * 60 + local.minute
    if window.start < window.end:
        return local.weekday() in window.days and window.start <= minute < window.end
    if minute >= window.start:
        return local.weekday() in window.days
    return minute < window.end and (local - timedelta(days=1)).weekday() in window.days
