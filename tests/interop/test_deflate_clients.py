"""permessage-deflate of `ws serve` with the client INTEROP_CLIENT, for every combination of the
parameters that it can offer and every mode of the server."""
import contextlib
import itertools
import json
import os
import subprocess

import deflate
from harness import Server, main, same, scratch

PEER = os.environ["INTEROP_PEER"]
ARGV = json.loads(os.environ["INTEROP_CLIENT"])


def product(server_no, client_no, server_bits, client_bits):
    names = deflate.FLAGS + deflate.BITS
    for values in itertools.product(server_no, client_no, server_bits, client_bits):
        yield {name: value for name, value in zip(names, values) if value}


NO, EITHER, ANY = (None,), (None, True), (None, *range(8, 16))
OFFERS = {
    # zlib cannot deflate into 8 bits, and the package does not say that it would.
    "websockets": [*product(EITHER, EITHER, ANY, (None, True, *range(9, 16)))],
    # Node.js makes 9 bits of the client's 8: the bytes still refer back less than 256.
    "npm-ws": [*product(EITHER, EITHER, ANY, (None, True, *range(8, 16)))],
    # It has one number, of the server's window, and 15 is not written.
    "aiohttp": [*product(NO, NO, (*range(9, 15), None), (True,))],
    # It knows no windows, and both sides' takeover are one choice.
    "coder": [{}, {flag: True for flag in deflate.FLAGS}],
}[PEER]
# What most clients offer, and the browsers.
USUAL = next((offer for offer in OFFERS if offer == {"client_max_window_bits": True}), OFFERS[0])


class Client:
    """The program, to which lines of JSON go, and that answers each with one."""

    def __enter__(self):
        self.process = subprocess.Popen(ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()

    def run(self, url, offer, messages):
        print(json.dumps({"url": url, "offer": offer, "messages": messages}),
              file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the client has ended"
        return json.loads(line)


@contextlib.contextmanager
def every_mode(modes=deflate.MODES):
    """A server for each mode."""
    with contextlib.ExitStack() as stack:
        yield {mode: stack.enter_context(Server("--echo", "--deflate", mode)) for mode in modes}


class Traffic:
    """Messages, and where the clients read them."""

    def __init__(self, directory, name, messages, telling=True):
        self.count = len(messages)
        self.path = deflate.write_messages(f"{directory}/{name}", messages)
        if telling:
            whole = deflate.plain(messages)
            # `ws serve` compresses what has 256 bytes or more, and what gets smaller by it.
            sent = [m for m in whole if len(m) >= 256 and len(m) != deflate.NOISE_BYTES]
            self.bounds = {"in": deflate.Between(whole), "out": deflate.Between(sent)}
        else:
            self.bounds = {}


def echo(client, server, mode, offer, traffic):
    """All messages come back, and both ends tell the same of how."""
    report = client.run(server.url, offer, traffic.path)
    same(report["wrong"], None, "the client")
    answer, receives, sends = deflate.agreed_as_server(mode, offer)
    same(deflate.parameters(report["answer"]), answer, "answer")
    server.connections = getattr(server, "connections", 0) + 1
    opened = server.wait_log("^ws: open ", server.connections)
    same((opened.get("deflate_in"), opened.get("deflate_out")), (receives, sends), "its log")
    ended = server.wait_log("^ws: close ", server.connections)
    same((ended["code"], ended["messages_in"], ended["messages_out"]),
         ("1000", str(traffic.count), str(traffic.count)), "code and messages")
    if answer is None:
        return
    if report["sends"] is not None:
        takeover, bits = report["sends"]
        allowed, most = deflate.split(receives)
        same(takeover, allowed, "the client's takeover")
        assert bits <= most, f"the client's window: {bits}, of {receives}"
    for name, way in ((receives, "in"), (sends, "out")):
        if way in traffic.bounds:
            traffic.bounds[way].check(name, int(ended[f"deflated_{way}"]), f"{offer}, {way}")


def run_cases(cases, traffics):
    """Cases are pairs of a mode and an offer, and take their turns with the lists of messages."""
    with every_mode() as servers, Client() as client:
        for (mode, offer), traffic in zip(cases, itertools.cycle(traffics)):
            try:
                echo(client, servers[mode], mode, offer, traffic)
            except AssertionError as e:
                raise AssertionError(f"{mode} with {offer}: {e}") from e


@contextlib.contextmanager
def every_kind():
    """One in three goes up to 1 MiB, which takes the most time."""
    with scratch() as directory:
        large = Traffic(directory, "large", deflate.every_kind())
        small = Traffic(directory, "small", deflate.every_kind(1 << 16))
        yield [small, large, small]


# req: 134
def test_every_offer_to_a_server_with_takeover():
    windows = itertools.cycle(deflate.MODES[1:])
    with every_kind() as traffics:
        run_cases([(next(windows), offer) for offer in OFFERS], traffics)


# req: 134
def test_every_offer_to_a_server_without_takeover():
    # It says itself what the flags ask for: all of them or none are enough here.
    offers = [offer for offer in OFFERS if len(set(deflate.FLAGS) & set(offer)) != 1]
    with every_kind() as traffics:
        run_cases([("shared", offer) for offer in offers], traffics)


def test_every_mode_of_the_server():
    with every_kind() as (_, large, _):
        run_cases([(mode, USUAL) for mode in deflate.MODES], [large])


def test_a_mebibyte_of_everything_comes_back():
    modes = ("shared", "dedicated:9", "dedicated:15")
    with scratch() as directory:
        run_cases([(mode, offer) for offer in (USUAL, OFFERS[-1]) for mode in modes],
                  [Traffic(directory, "heavy", deflate.heavy(), telling=False)])


# req: 142
def test_without_compression_on_either_side_nothing_is_agreed():
    with every_kind() as (_, large, _), Client() as client, \
            every_mode(("off", "shared")) as servers:
        for mode, offer in (("off", OFFERS[0]), ("off", OFFERS[-1]), ("shared", None)):
            echo(client, servers[mode], mode, offer, large)


main(__name__)
