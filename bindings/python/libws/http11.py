"""The HTTP request and response of an opening handshake."""

from __future__ import annotations

import dataclasses

from .datastructures import Headers

__all__ = ["Request", "Response"]


@dataclasses.dataclass
class Request:
    """A request.

    `path` is the target as sent, with the query.  `exception` is always None: a request that is
    not well-formed was answered before anybody saw it.
    """

    __slots__ = ("headers", "method", "path", "protocol")

    path: str
    headers: Headers
    method: str
    protocol: str

    def __init__(
        self, path: str, headers: Headers, method: str = "GET", protocol: str = "HTTP/1.1"
    ) -> None:
        self.path = path
        self.headers = headers
        self.method = method
        self.protocol = protocol

    @property
    def exception(self) -> Exception | None:
        return None

    def serialize(self) -> bytes:
        """As it travels."""
        line = f"{self.method} {self.path} {self.protocol}\r\n"
        return line.encode("iso-8859-1") + self.headers.serialize()


@dataclasses.dataclass
class Response:
    """A response; `body` is bytes, b"" if there is none."""

    __slots__ = ("body", "headers", "reason_phrase", "status_code")

    status_code: int
    reason_phrase: str
    headers: Headers
    body: bytes | bytearray

    def __init__(
        self,
        status_code: int,
        reason_phrase: str,
        headers: Headers,
        body: bytes | bytearray = b"",
    ) -> None:
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.headers = headers
        self.body = body

    @property
    def exception(self) -> Exception | None:
        return None

    def serialize(self) -> bytes:
        """As it travels."""
        line = f"HTTP/1.1 {self.status_code} {self.reason_phrase}\r\n"
        return line.encode("iso-8859-1") + self.headers.serialize() + bytes(self.body)
