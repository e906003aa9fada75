"""permessage-deflate on the command line: what `ws serve --deflate` agrees to and what `ws connect`
offers, the lines of --verbose about it on both ends, and that messages arrive all the same."""
import asyncio
import contextlib
import json
import os
import re
import socket
import struct
import zlib

from websockets.asyncio.client import connect as ws_connect
from websockets.extensions.permessage_deflate import (ClientPerMessageDeflateFactory as Offer,
                                                      ServerPerMessageDeflateFactory as Answer)
from websockets.sync.client import connect as sync_connect

from cli import (DONE, LOST, REFUSED, USAGE, check, connect, finish, python_server, run, started,
                 upgrade, wait_open)
from harness import Server, main, same, text, until

EXTENSIONS = "Sec-WebSocket-Extensions"
AGREED = r"^\* deflate: agreed, sending (\S+), receiving (\S+)$"
SAVED = r"^\* deflate: sent (.+), received (.+)$"


def tick(i):
    """A message of about 300 bytes, much like the one before it."""
    return json.dumps({"type": "tick", "sequence": i, "quotes": [
        {"symbol": s, "bid": 1000 + i * n, "ask": 1001 + i * n, "venue": "XNAS", "halted": False}
        for n, s in enumerate(("ACME", "INIT", "NILS"))]})


def client(server, offer=None):
    """A connection of `websockets` that makes this offer: none if it is None."""
    return sync_connect(server.url, proxy=None, max_size=None, compression=None,
                        extensions=[offer] if offer else None)


def parameters(header):
    """Of the one extension in such a header field."""
    name, *rest = re.split(r"\s*;\s*", header)
    same(name, "permessage-deflate")
    return set(rest)


def open_line(server, count=1):
    """Both ways as the server names them; None if nothing was agreed on."""
    line = server.wait_log("^ws: open ", count)
    return line.get("deflate_in"), line.get("deflate_out")


def saved(line, way):
    """(plain, deflated) of a close line, after a look at the ratio."""
    plain, deflated = int(line[f"plain_{way}"]), int(line[f"deflated_{way}"])
    same(line.get(f"ratio_{way}"), f"{plain / deflated:.1f}" if deflated else None, f"ratio_{way}")
    return plain, deflated


def note(result, pattern):
    """The groups of the one line of stderr that matches."""
    found = re.findall(pattern, result.stderr.decode(), re.M)
    notes = [line for line in result.stderr.decode().splitlines() if "deflate" in line]
    same(len(found), 1, f"lines that match {pattern}, with {notes},")
    return found[0]


# ---- ws serve: options

def test_serve_deflate_options_that_are_wrong_are_refused():
    modes = ("", "on", "Shared", "shared:12", "off:9", "dedicated:", "dedicated:8", "dedicated:16",
             "dedicated:12x", "dedicated:-9", "dedicated:+9", "dedicated:4294967305", "dedicated12")
    cases = [((f"--deflate={mode}",), f"--deflate '{mode}': write off, shared, dedicated or")
             for mode in modes]
    cases += [(("--deflate-level", level), f"--deflate-level '{level}': write a number from 1 to 9")
              for level in ("", "0", "10", "-1", "x", "1x")]
    cases += [(("--deflate", "off", "--deflate-level", "1"), "choose one of --deflate off and"),
              (("--deflate-level", "1", "--deflate", "off"), "choose one of --deflate off and"),
              (("--deflate",), "option '--deflate' needs a value")]
    for words, why in cases:
        r = run("serve", "-l", "127.0.0.1:0", *words)
        same((r.returncode, r.stdout), (USAGE, b""), f"{words}, with {r.stderr!r}")
        assert r.stderr.startswith(f"ws serve: {why}".encode()), (words, r.stderr)
        assert r.stderr.endswith(b"Try 'ws serve --help'.\n"), (words, r.stderr)


def test_serve_deflate_mode_decides_what_is_agreed():
    both = {"server_no_context_takeover", "client_no_context_takeover"}
    for words, agreed, answer in (
        ((), "shared:15", both),
        (("--deflate", "shared"), "shared:15", both),
        (("--deflate", "dedicated"), "dedicated:12", {"client_max_window_bits=12"}),
        (("--deflate", "dedicated:9"), "dedicated:9", {"client_max_window_bits=9"}),
        (("--deflate=dedicated:14",), "dedicated:14", {"client_max_window_bits=14"}),
        (("--deflate", "off", "--deflate", "dedicated:15"), "dedicated:15", set()),
        (("--deflate", "dedicated:10", "--deflate", "shared"), "shared:15", both),
        (("--deflate", "dedicated:9", "--deflate", "dedicated"), "dedicated:12",
         {"client_max_window_bits=12"}),
    ):
        with Server(*words) as s, client(s, Offer(client_max_window_bits=True)) as c:
            got = parameters(c.response.headers[EXTENSIONS])
            same(got, answer, words)
            same(open_line(s), (agreed, agreed), words)
            for i in range(5):
                c.send(tick(i))
                same(c.recv(5), tick(i))


def test_serve_gives_a_client_less_where_it_asks_for_less():
    with Server("--deflate", "dedicated:13") as s:
        for count, (offer, agreed) in enumerate((
            (Offer(server_no_context_takeover=True, client_max_window_bits=True),
             ("dedicated:13", "shared:")),
            (Offer(client_no_context_takeover=True, client_max_window_bits=True),
             ("shared:", "dedicated:13")),
            (Offer(server_max_window_bits=10, client_max_window_bits=11),
             ("dedicated:11", "dedicated:10")),
        ), 1):
            with client(s, offer) as c:
                for got, wanted in zip(open_line(s, count), agreed):
                    assert got.startswith(wanted), (count, got, wanted)
                for i in range(5):
                    c.send(tick(i))
                    same(c.recv(5), tick(i))


# req: 142
def test_serve_without_compression_says_nothing_of_it():
    for words, offer in ((("--deflate", "off"), Offer()), ((), None)):
        with Server(*words) as s:
            with client(s, offer) as c:
                same(c.response.headers.get(EXTENSIONS), None)
                c.send(tick(1))
                same(c.recv(5), tick(1))
            same(open_line(s), (None, None))
            fields = set(s.wait_log("^ws: close "))
            same([f for f in fields if re.match("plain|deflate|ratio", f)], [])


# ---- ws serve: what it saved

def test_serve_close_line_tells_what_compression_saved():
    with Server() as s:
        with client(s, Offer()) as c:
            total = 0
            for i in range(10):
                total += len(tick(i))
                c.send(tick(i))
                same(c.recv(5), tick(i))
        line = s.wait_log("^ws: close ")
        for way in ("in", "out"):
            plain, deflated = saved(line, way)
            same(plain, total, way)
            assert deflated < total // 1.5, (way, deflated, total)
            assert deflated <= int(line[f"bytes_{way}"]) < total, line


def test_serve_sends_short_messages_as_they_are():
    with Server() as s:
        with client(s, Offer()) as c:
            for size, count in ((255, 0), (256, 1), (257, 2)):
                c.send("x" * size)
                same(c.recv(5), "x" * size)
        line = s.wait_log("^ws: close ")
        same(saved(line, "in")[0], 255 + 256 + 257)      # `websockets` compresses all
        same(saved(line, "out")[0], 256 + 257)
        with client(s, Offer()) as c:
            c.send("x" * 255)
            same(c.recv(5), "x" * 255)
        line = s.wait_log("^ws: close ", 2)
        same((line["plain_out"], line["deflated_out"], line.get("ratio_out")), ("0", "0", None))


def test_serve_mode_and_level_change_how_much_is_saved():
    message = " ".join(tick(i * i) for i in range(100))
    sizes = {}
    for mode in ("shared", "dedicated"):
        for level in ("1", "9"):
            with Server("--deflate", mode, "--deflate-level", level) as s:
                with client(s, Offer(client_max_window_bits=True)) as c:
                    for part in (message, *(tick(i) for i in range(20))):
                        c.send(part)
                        same(c.recv(5), part)
                sizes[mode, level] = saved(s.wait_log("^ws: close "), "out")[1]
    for mode in ("shared", "dedicated"):
        assert sizes[mode, "9"] < sizes[mode, "1"], sizes
    for level in ("1", "9"):
        assert sizes["dedicated", level] < sizes["shared", level], sizes


# ---- ws serve: modes

OFFERS = {
    "shared": Offer(server_no_context_takeover=True, client_no_context_takeover=True),
    "window 15": Offer(),
    "window 9": Offer(server_max_window_bits=9, client_max_window_bits=9),
    "window 12, no takeover": Offer(server_no_context_takeover=True, server_max_window_bits=12),
    "none": None,
}


def joined(server, stack):
    """A connection for each of the offers."""
    members = {}
    for count, (name, offer) in enumerate(OFFERS.items(), 1):
        members[name] = stack.enter_context(client(server, offer))
        server.wait_log("^ws: open ", count)
    return members


def compressed(server):
    """How many of the closed connections of joined() were sent something compressed."""
    lines = [server.wait_log("^ws: close ", i) for i in range(1, len(OFFERS) + 1)]
    return sum(int(line.get("plain_out", 0)) > int(line.get("deflated_out", 0)) for line in lines)


def test_broadcast_reaches_each_with_what_it_agreed_on():
    for mode in ("shared", "dedicated", "dedicated:15", "off"):
        with Server("--broadcast", "--deflate", mode) as s, contextlib.ExitStack() as stack:
            members = joined(s, stack)
            for i in range(30):
                for sender in members:
                    message = f"{sender} {tick(i)}" if i % 3 else f"{sender} {i} {text(i)}"
                    members[sender].send(message)
                    for name, member in members.items():
                        if name != sender:
                            same(member.recv(5), message, f"{mode}: from {sender} to {name}")
            stack.close()
            same(compressed(s), 0 if mode == "off" else len(members) - 1, mode)


def test_broadcast_between_ws_connect_processes():
    message = " ".join(tick(i) for i in range(10))
    with Server("--broadcast", "--deflate", "dedicated") as s, contextlib.ExitStack() as stack:
        readers = [stack.enter_context(started("connect", "-v", *words, s.url))
                   for words in (("--compress",), ("--no-compress",), ())]
        for p in readers:
            wait_open(p)
        check(connect("-v", "--compress", s.url, stdin=(message + "\n").encode() * 3), DONE, b"")
        for p in readers:
            for _ in range(3):
                same(p.stdout.readline().decode(), message + "\n")
            same(finish(p).returncode, DONE)
        lines = [s.wait_log("^ws: close ", i) for i in range(1, 5)]
        same(sorted("plain_out" in line for line in lines), [False, True, True, True])


def test_chat_over_compressed_connections():
    saying = text(1990)
    for mode in ("shared", "dedicated:9"):
        with Server("--chat", "--deflate", mode) as s, contextlib.ExitStack() as stack:
            members = joined(s, stack)
            for sender in members.values():
                sender.send("say " + saying)
                for name, member in members.items():
                    while not (heard := member.recv(5)).startswith("say "):
                        pass
                    same(heard.split(" ", 3)[3], saying, f"{mode}: to {name}")
            stack.close()
            same(compressed(s), len(members) - 1, mode)
            r = check(connect("-v", "--compress", s.url, stdin=b"say bye"), DONE)  # with the past
            same(r.stdout.decode().count("\n" + saying + "\n"), len(members))
            note(r, r"^\* deflate: sent .+, received \d+ -> \d+ bytes \(\d+\.\d:1\)$")


# ---- ws connect: what it offers

def offered(*words):
    """The extensions that `ws` with these arguments offers."""
    got = []
    with python_server(lambda ws: None,
                       process_request=lambda c, r: got.append(r.headers.get(EXTENSIONS))) as url:
        run(*words, url)
    same(len(got), 1, "requests")
    return got[0]


def test_connect_offers_what_its_options_say():
    takeover = {"server_no_context_takeover", "client_no_context_takeover"}
    same(parameters(offered("connect")) & takeover, takeover)
    same(parameters(offered("connect", "--compress")) & takeover, set())
    same(parameters(offered("connect", "--compress", "--compress")) & takeover, set())
    same(offered("connect", "--no-compress"), None)
    same(offered("ping", "-c", "1"), None)


def test_connect_verbose_tells_what_was_agreed_and_saved():
    lines = "".join(tick(i) + "\n" for i in range(20)).encode()
    total = str(len(lines) - 20)
    for words, agreed in (((), "shared:15"), (("--compress",), "dedicated:15")):
        with Server("--deflate", "dedicated:15") as s:
            r = check(connect("-v", *words, s.url, stdin=lines), DONE, lines)
            same(note(r, AGREED), (agreed, agreed))
            same(open_line(s), (agreed, agreed))
            line = s.wait_log("^ws: close ")
            for ours, way in zip(note(r, SAVED), ("in", "out")):
                plain, deflated = saved(line, way)
                same(ours, f"{plain} -> {deflated} bytes ({plain / deflated:.1f}:1)")
                same(str(plain), total)


def test_connect_says_nothing_of_compression_unless_verbose():
    with Server() as s:
        for words in ((), ("--compress",), ("--no-compress",)):
            check(connect(*words, s.url, stdin=tick(1).encode()), DONE, None, "^$")


def test_connect_compress_makes_short_lines_smaller():
    lines = "".join(f"tick ACME {1000 + i} {1001 + i} XNAS\n" for i in range(100)).encode()
    with Server("--deflate", "dedicated") as s:
        r = check(connect("-v", "--compress", s.url, stdin=lines), DONE, lines)
        sent, received = note(r, SAVED)
        plain, deflated = map(int, re.match(r"(\d+) -> (\d+) ", sent).groups())
        same(plain, len(lines) - 100)
        assert deflated < plain / 1.5, sent
        same(received, "nothing compressed")             # the server's own minimum is 256
        r = check(connect("-v", s.url, stdin=lines), DONE, lines)
        same(note(r, SAVED), ("nothing compressed", "nothing compressed"))


def test_connect_compress_leaves_out_only_empty_messages():
    with Server() as s:
        for lines, total in ((b"", 0), (b"\n", 0), (b"x", 1), (b"x" * 255, 255), (b"x" * 256, 256),
                             (b"x" * 257, 257), (b"\nab\n" + b"x" * 300, 302)):
            r = check(connect("-v", "--compress", s.url, stdin=lines), DONE)
            wanted = f"{total} -> " if total else "nothing compressed"
            sent = note(r, SAVED)[0]
            assert sent.startswith(wanted), (lines, sent)


def test_connect_declined_or_not_offered_works_without():
    for words, compression, why in (
        (("--compress",), None, "declined by the server"),
        ((), None, "declined by the server"),
        (("--no-compress",), "deflate", "not offered"),
    ):
        with python_server(lambda ws: ws.send(ws.recv()), compression=compression) as url:
            r = check(connect("-v", *words, url, stdin=tick(1).encode()), DONE,
                      tick(1).encode() + b"\n")
            same(note(r, r"^\* deflate: (.*)$"), why)


def test_connect_agrees_to_less_than_it_offered():
    lines = "".join(tick(i) + "\n" for i in range(20)).encode()

    def echo(ws):
        for message in ws:
            ws.send(message)
    for answer, agreed in (
        (Answer(server_no_context_takeover=True), ("dedicated:15", "shared:15")),
        (Answer(client_no_context_takeover=True), ("shared:15", "dedicated:15")),
        (Answer(server_max_window_bits=9, client_max_window_bits=10),
         ("dedicated:10", "dedicated:9")),
        (Answer(server_max_window_bits=12), ("dedicated:15", "dedicated:12")),
    ):
        with python_server(echo, extensions=[answer]) as url:
            r = check(connect("-v", "--compress", url, stdin=lines), DONE, lines)
            same(note(r, AGREED), agreed)
            for part in note(r, SAVED):
                assert part.startswith(f"{len(lines) - 20} -> "), part


def test_connect_passes_every_byte_compressed_or_not():
    with Server("--deflate", "dedicated:9", "--deflate-level", "6") as s:
        for data in (b"r" + os.urandom(300000), bytes(3 << 20), text(300000).encode()):
            check(connect("--binary", "--no-compress", s.url, stdin=data), DONE, data)
            for words in (("--compress",), ()):
                r = check(connect("-v", "--binary", *words, s.url, stdin=data), DONE, data)
                # Random bytes leave as they are, whatever was agreed on.
                same(note(r, SAVED)[0].startswith(f"{len(data)} -> "), data[:1] in (b"\0", b"a"))


def test_connect_compress_with_one_and_reconnect():
    with Server() as s:
        r = check(connect("-v", "--one", "--compress", s.url, stdin=tick(1).encode()), DONE,
                  tick(1).encode() + b"\n")
        note(r, AGREED)
        note(r, SAVED)

    def close_at_once(ws):
        ws.send(tick(1))
        ws.close(1012)
    with python_server(close_at_once, compression="deflate") as url, \
            started("connect", "-v", "--compress", "--reconnect", url) as p:
        for _ in range(2):
            same(p.stdout.readline().decode(), tick(1) + "\n")
        p.terminate()
        r = finish(p)
        counts = [len(re.findall(x, r.stderr.decode(), re.M)) for x in (AGREED, SAVED)]
        assert counts[0] == counts[1] >= 2, r.stderr


# ---- ws connect: servers that do it wrong

def answered(fields, *words, frames=b""):
    """`ws connect` with a server whose answer has these lines, and that sends these frames.
    Returns how it ended, and the close code it sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "ws://127.0.0.1:%d/" % server.getsockname()[1]
        with started("connect", "--linger", "never", *words, url) as p:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(10)
                upgrade(peer, fields)
                got = b""
                with contextlib.suppress(ConnectionResetError):
                    peer.sendall(frames)
                    p.stdin.close()
                    p.stdin = None
                    while part := peer.recv(4096):
                        got += part
                        if closed(got):
                            break
            return finish(p), closed(got)


def closed(data):
    """The code of the client's Close frame in what it sent; None if it is not (all) there."""
    while len(data) >= 6:
        size, at = data[1] & 0x7f, 2
        if size == 126:
            size, at = struct.unpack_from("!H", data, 2)[0], 4
        if data[0] == 0x88 and len(data) >= at + 6:
            mask, code = struct.unpack_from("!H2xH", data, at)
            return mask ^ code
        data = data[at + 4 + size:]
    return None


# req: 143
# bad: 60
def test_connect_refuses_an_answer_that_it_did_not_offer_or_that_is_wrong():
    field = EXTENSIONS.encode() + b": permessage-deflate"
    for words, answer, why in (
        (("--no-compress",), b"", "not offered"),
        (("--compress",), b"; server_max_window_bits=16", "permessage-deflate .*8 to 15"),
        (("--compress",), b"; server_max_window_bits=7", "permessage-deflate .*8 to 15"),
        (("--compress",), b"; client_max_window_bits", "permessage-deflate .*8 to 15"),
        (("--compress",), b"; unknown", "permessage-deflate .*unknown"),
        (("--compress",), b"; client_no_context_takeover" * 2, "permessage-deflate .*twice"),
        (("--compress",), b", permessage-deflate", "permessage-deflate .*twice"),
        ((), b"", "server_no_context_takeover .*missing"),
    ):
        r, _ = answered(field + answer + b"\r\n", *words)
        check(r, REFUSED, b"", f"cannot connect: .*{why}")


def raw_deflate(data):
    z = zlib.compressobj(wbits=-15)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


def frame(first, payload):
    head = bytes([first, len(payload)]) if len(payload) < 126 else \
        struct.pack("!BBH", first, 126, len(payload))
    return head + payload


# req: 160, 161
# bad: 143
def test_connect_takes_a_good_frame_and_ends_at_a_corrupt_or_huge_one():
    field = EXTENSIONS.encode() + b": permessage-deflate; server_no_context_takeover; " \
        b"client_no_context_takeover\r\n"
    good = frame(0xC1, raw_deflate(b"good"))
    for words, bad, code in (
        ((), frame(0xC2, b"\xff\xff\xff"), 1007),
        (("--max-message", "999999"), frame(0xC2, raw_deflate(bytes(1000000))), 1009),
    ):
        r, sent = answered(field, *words, frames=good + bad)
        check(r, LOST, b"good\n", "connection lost")
        same(sent, code)
    r, sent = answered(field, "--max-message", "1000000",
                       frames=good + frame(0xC1, raw_deflate(b"x" * 1000000)) + b"\x88\x02\x03\xe8")
    check(r, DONE, b"good\n" + b"x" * 1000000 + b"\n")
    same(sent, 1000)


# bad: 139
def test_connect_takes_no_compressed_frame_that_was_not_agreed_on():
    for words in (("--no-compress",), ("--compress",), ()):
        r, sent = answered(b"", *words, frames=frame(0xC1, raw_deflate(b"good")))
        check(r, LOST, b"", "connection lost")
        same(sent, 1002)


# ---- limits of ws serve

# req: 161
# bad: 143
def test_serve_limit_counts_what_a_message_becomes():
    with Server("--max-message", "100000") as s, client(s, Offer()) as c:
        same(open_line(s), ("shared:15", "shared:15"))
        c.send(bytes(100000))
        same(c.recv(5), bytes(100000))
        c.send(bytes(100001))
        until(lambda: s.logged("^ws: close "), failure="the server did not close")
        same(s.wait_log("^ws: close ")["sent"], "1009")


async def test_serve_many_compressed_connections_at_a_time():
    with Server("--deflate", "dedicated:9") as s:
        async def talk(n):
            async with ws_connect(s.url, proxy=None, compression="deflate") as c:
                for i in range(20):
                    await c.send(tick(n * 100 + i))
                    same(await c.recv(), tick(n * 100 + i))
        await asyncio.gather(*map(talk, range(50)))
        lines = [await s.closed(i) for i in range(1, 51)]
        for line in lines:
            same(saved(line, "in")[0], saved(line, "out")[0])


main(__name__)
