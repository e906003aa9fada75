"""Numbers that frames carry (RFC 6455 5.2, 7.4), and what a Close frame says."""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["Close", "CloseCode", "Opcode"]


class Opcode(enum.IntEnum):
    """The kind of a frame (RFC 6455 5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Why a connection was closed (RFC 6455 7.4.1 and the registry of IANA).

    1005, 1006 and 1015 never travel: they stand for what a Close frame did not say.
    """

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


_MEANINGS: dict[int, str] = {
    CloseCode.NORMAL_CLOSURE: "normal closure",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no code",
    CloseCode.ABNORMAL_CLOSURE: "no Close frame",
    CloseCode.INVALID_DATA: "invalid data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "extension missing",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failed",
}
_NEVER_SENT = (CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE)


@dataclasses.dataclass
class Close:
    """The payload of a Close frame: `code`, a number, and `reason`, text ("" if there is none)."""

    __slots__ = ("code", "reason")

    code: CloseCode | int
    reason: str

    def __str__(self) -> str:
        meaning = _MEANINGS.get(self.code)
        if meaning is None and 3000 <= self.code < 5000:
            # RFC 6455 7.4.2: registered with IANA, and for private use.
            meaning = "registered" if self.code < 4000 else "private use"
        text = f"{int(self.code)} ({meaning or 'unknown'})"
        return f"{text} {self.reason}" if self.reason else text

    def check(self) -> None:
        """Raise ProtocolError if the code must not be sent in a frame (RFC 6455 7.4)."""
        known = self.code in _MEANINGS and self.code not in _NEVER_SENT
        if not known and not 3000 <= self.code < 5000:
            from .exceptions import ProtocolError

            raise ProtocolError(f"close code {int(self.code)} cannot be sent")
