"""What the suites of permessage-deflate share: parameters, what is agreed on, and the messages.
Standard library only."""
import base64
import json
import random
import re
import zlib
from pathlib import Path

from harness import binary, same, text

MODES = ("shared", *(f"dedicated:{bits}" for bits in range(9, 16)))
FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
BITS = ("server_max_window_bits", "client_max_window_bits")
MEBIBYTE = 1 << 20
TICK_BYTES = 1200
NOISE_BYTES = 1000                                   # the one message that gets no smaller
# The least window in which what ticks save is more than what zlib loses: it ends a block each time
# that it has to move a small one.
TELLING_WINDOW_BITS = 12


def parameters(header):
    """Of the one extension in such a header field, as {name: number, or True without a value};
    None without a header."""
    if header is None:
        return None
    name, *words = re.split(r"\s*;\s*", header)
    same(name, "permessage-deflate")
    result = {}
    for word in words:
        key, _, value = word.partition("=")
        assert key in FLAGS + BITS and key not in result, header
        result[key] = int(value) if value else True
    return result


def split(mode):
    """Whether there is takeover, and the window."""
    name, _, bits = mode.partition(":")
    return name == "dedicated", int(bits or 15)


def agreed_as_server(mode, offer):
    """What `ws serve --deflate MODE` makes of an offer: the parameters of its answer, and the
    fields deflate_in and deflate_out of its log; Nones where nothing is agreed on."""
    # RFC 7692 7.1.2.1: zlib cannot deflate raw data into 8 bits, so the offer is declined.
    if offer is None or mode == "off" or offer.get(BITS[0]) == 8:
        return None, None, None
    dedicated, bits = split(mode)
    sends, receives = (dedicated and flag not in offer for flag in FLAGS)
    answer = {flag: True for flag, on in zip(FLAGS, (sends, receives)) if not on}
    send_bits = min(bits if sends else 15, offer.get(BITS[0], 15))
    receive_bits = 15
    if BITS[0] in offer:
        answer[BITS[0]] = send_bits
    if receives and BITS[1] in offer:                # True: any
        hint = 15 if offer[BITS[1]] is True else offer[BITS[1]]
        receive_bits = min(bits, hint)
        if receive_bits < 15:
            answer[BITS[1]] = receive_bits
    return answer, named(receives, receive_bits), named(sends, send_bits)


def named(takeover, bits):
    return f"{'dedicated' if takeover else 'shared'}:{bits}"


# ---- messages: each a list of the pieces in which it is sent, all str or all bytes

def ticks(count):
    """Messages that say little new after the first, of which each alone compresses badly."""
    words = random.Random(1).randbytes((TICK_BYTES - 20) // 2).hex()
    return [f'{{"tick": {i:04}, "{words}"}}' for i in range(count)]


def quotes(size):
    """Text of that many bytes that compresses as JSON does, in many blocks."""
    numbers = random.Random(size)
    lines, length = [], 0
    while length < size:
        lines.append(f'{{"bid": {numbers.randrange(10**6)}, "venue": "XNAS", "note": "\u20ac"}},\n')
        length += len(lines[-1].encode())
    whole = "".join(lines).encode()[:size].decode(errors="ignore")
    return whole + " " * (size - len(whole.encode()))


def cut(message, pieces):
    """In so many of them, one of them empty."""
    step = max(1, len(message) // (pieces - 1))
    cuts = [min(i * step, len(message)) for i in range(pieces - 1)]
    return [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)])]


def every_kind(largest=MEBIBYTE):
    """50 messages from 0 bytes to `largest`, text and binary, some in pieces."""
    result = [[m] if i % 2 else [m.encode()] for i, m in enumerate(ticks(30))]
    sizes = (0, 1, 125, 126, 127, 255, 256, 257)
    result[5:5] = [[kind(size)] for size in sizes for kind in (text, binary)]
    result[20:20] = [cut(text(5000), 7), cut(binary(300), 3), [b"", b"", b""],
                     [random.Random(2).randbytes(NOISE_BYTES)]]
    # Cheap to compress, as they come with every combination of parameters.
    result[30] = ["\u00e9" * (largest // 2)]
    result[40] = [text(65536)]
    result[44] = [b"\1" * largest]
    same((len(result), max(map(len, plain(result)))), (50, largest))
    return result


def heavy():
    """50 messages that fill every window several times over, with noise among them."""
    numbers = random.Random(3)
    result = []
    for i in range(15):
        size = numbers.choice((1000, 20000, 65535, 65536, 100000))
        result += [[quotes(size + i)], [ticks(i + 1)[i].encode()], [numbers.randbytes(size)]]
    result += [[quotes(MEBIBYTE)], [numbers.randbytes(MEBIBYTE)], cut(quotes(MEBIBYTE), 200),
               cut(quotes(MEBIBYTE).encode(), 3), [binary(MEBIBYTE)]]
    same(len(result), 50)
    return result


def write_messages(path, messages):
    """For the clients, which read JSON."""
    Path(path).write_text(json.dumps([
        {"text": [*pieces]} if isinstance(pieces[0], str) else
        {"binary": [base64.b64encode(piece).decode() for piece in pieces]} for pieces in messages]))
    return path


def plain(messages):
    """Their bytes, each in one piece."""
    return [piece.encode() if isinstance(piece, str) else piece
            for piece in (pieces[0][:0].join(pieces) for pieces in messages)]


def squeezed(messages, takeover, level):
    """How many bytes zlib makes of them."""
    total, compressor = 0, None
    for message in messages:
        if not takeover or compressor is None:
            compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
        total += len(compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)) - 4
    return total


class Between:
    """Tells messages that refer to earlier ones from those that do not, by their bytes."""

    def __init__(self, messages):
        # At the worst, and at the best.
        with_takeover, without = squeezed(messages, True, 1), squeezed(messages, False, 6)
        assert with_takeover * 1.5 < without, "nothing to tell them apart by"
        self.middle = (with_takeover + without) // 2

    def check(self, name, deflated, what):
        takeover, bits = split(name)
        if not takeover:
            assert deflated > self.middle, f"{what}: {deflated} bytes without takeover"
        elif bits >= TELLING_WINDOW_BITS:
            assert deflated < self.middle, f"{what}: {deflated} bytes with takeover"
