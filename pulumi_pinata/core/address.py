"""Addresses and paths as users write them, checked before anything is sent; pure."""

import ipaddress
import re
from urllib.parse import urlsplit

from pulumi_pinata.core.errors import Refused

_SEGMENT = re.compile(r"[^\s/?#%\\\x00-\x1f\x7f]+")


def checked_url(url: str, about: str) -> str:
    """`url` without a trailing slash.

    Raises Refused unless it is https, or http to this machine: keys and tokens travel in its headers.
    """
    if not url.isprintable() or " " in url:
        raise Refused(
            "a URL has no spaces or control characters.", about=about, hint="Write it as https://host[:port]."
        )
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 - raises on a port that is no number
    except ValueError:
        raise Refused("not a URL.", about=about, hint="Write it as https://host[:port].") from None
    if not host or parts.scheme not in ("http", "https"):
        raise Refused("not an http(s) URL.", about=about, hint="Write it as https://host[:port].")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Refused("the URL must hold no user, query or fragment.", about=about, hint="Leave them out.")
    if parts.scheme == "http" and not _loopback(host):
        raise Refused(
            f"plain http to {host} would send credentials unencrypted.",
            about=about,
            hint="Use https; plain http is accepted to this machine (127.0.0.1, localhost) only.",
        )
    return url.rstrip("/")


def checked_path(path: str, about: str) -> str:
    """`path` as it is.

    Raises Refused where Vault would read it as another one: outer or double slashes, `..`, spaces, `?`, `#`, `%`.
    """
    segments = path.split("/")
    if not all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments):
        raise Refused(
            f"{path!r} is not a plain path.",
            about=about,
            hint="Write names joined by single slashes, such as pinata/prod; no spaces, `..`, `?`, `#` or `%`.",
        )
    return path


def is_loopback(url: str) -> bool:
    """Whether `url` leads to this machine, where no proxy may come in between."""
    return _loopback(urlsplit(url).hostname or "")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
