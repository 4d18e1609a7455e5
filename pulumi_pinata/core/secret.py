"""Values that must not be seen: they give themselves up only to an explicit `reveal()`."""

import hashlib
from collections.abc import Callable
from typing import NoReturn


class Secret:
    """An opaque credential (JWT, Vault token).

    It refuses every road by which a value slips out unasked: text, formatting, pickling, copying, JSON and
    comparison by value.
    """

    # A closure, not a value: `inspect.getmembers`, `__getstate__` and debuggers then list a function.
    __slots__ = ("__give",)

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret cannot be empty")
        self.__give: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self.__give()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")


class PrivateKey(Secret):
    """The one-time inference key, kept and sent verbatim: its encoding is undocumented by Pinata."""

    __slots__ = ()

    @property
    def fingerprint(self) -> str:
        """A one-way name for the key, safe to store and print (32 hex digits)."""
        return digest("key", self.reveal())


def digest(domain: str, text: str) -> str:
    """A one-way name for `text`, 32 hex digits; the same text in two domains has unrelated names."""
    return hashlib.sha256(f"pulumi-pinata/{domain}/v1\0{text}".encode(errors="surrogatepass")).hexdigest()[:32]
