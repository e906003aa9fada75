"""permessage-deflate of the library's client with the echo server INTEROP_SERVER, for every
combination of the parameters that it has and the modes of the client."""
import contextlib
import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor

import client
import deflate
import peers
from deflate import BITS, FLAGS
from harness import main, same, scratch

PEER = os.environ["INTEROP_PEER"]
ARGV = json.loads(os.environ["INTEROP_SERVER"])
SERVER_NO, CLIENT_NO = FLAGS
SERVER_BITS, CLIENT_BITS = BITS
MESSAGES = 50

# Which messages may refer to earlier ones, those that the client sends and those that it gets, and
# the window; nothing of it matters without.
OWN = [(False, False, 15), *itertools.product((True,), (True,), range(9, 16)),
       *itertools.product((True,), (False,), range(9, 16)),
       *itertools.product((False,), (True,), range(9, 16))]


def offers(sends, receives, bits):
    """What the client offers, the preferred one first."""
    mine = {} if sends else {CLIENT_NO: True}
    mine[CLIENT_BITS] = True
    wanted = {SERVER_BITS: bits} if bits < 15 else {}
    without = {SERVER_NO: True, **mine}
    if not receives:
        return [without]
    return [{**wanted, **mine}, without] if wanted else [mine]


# ---- What the servers make of the offers: the parameters of their answer, or None; a server that
# ---- fails the handshake raises Refused.

class Refused(Exception):
    pass


def websockets_answer(knobs, offered):
    offer = offered[0]                               # it takes whatever zlib can do
    answer = {flag: True for flag in FLAGS if flag in offer or flag in knobs}
    bits = [have[SERVER_BITS] for have in (knobs, offer) if SERVER_BITS in have]
    if bits:
        answer[SERVER_BITS] = min(bits)
    bits = [have[CLIENT_BITS] for have in (knobs, offer) if have.get(CLIENT_BITS, True) is not True]
    if bits:
        answer[CLIENT_BITS] = min(bits)
    return answer


def npm_ws_answer(knobs, offered):
    def takes(offer):
        if knobs.get(SERVER_NO) is False and SERVER_NO in offer:
            return False
        least = knobs.get(SERVER_BITS)
        if SERVER_BITS in offer and (least is False or (least or 0) > offer[SERVER_BITS]):
            return False
        return True

    taken = next(filter(takes, offered), None)
    if taken is None:
        raise Refused                                # with status 400, not without compression
    answer = {name: value for name, value in {**taken, **knobs}.items() if value is not False}
    # True in the offer is for the server to choose.
    if answer.get(CLIENT_BITS) is True or knobs.get(CLIENT_BITS) is False:
        answer.pop(CLIENT_BITS, None)
    for flag in FLAGS:
        if flag in taken:
            answer[flag] = True
    if knobs.get(SERVER_BITS) is False:
        answer.pop(SERVER_BITS, None)
    return answer


def aiohttp_answer(knobs, offered):
    # It limits its own window as asked, and has no word for what the client does.
    return {name: value for name, value in offered[0].items() if name in (SERVER_NO, SERVER_BITS)}


def coder_answer(knobs, offered):
    # It cannot limit its window, and declines who asks for that.
    offer = next(offer for offer in offered if SERVER_BITS not in offer)
    both = FLAGS if "no_takeover" in knobs else ()
    return {flag: True for flag in FLAGS if flag in offer or flag in both}


def product(*choices):
    """Where None is: without that parameter."""
    for values in itertools.product(*choices):
        yield {name: value for name, value in zip(FLAGS + BITS, values) if value is not None}


EITHER = (None, True)
SOME = (None, False, 8, 12)
ANSWER, KNOBS = {
    "websockets": (websockets_answer, [*product(EITHER, EITHER, (None, *range(9, 16)),
                                                (None, *range(8, 16)))]),
    "npm-ws": (npm_ws_answer, [*product(EITHER, EITHER, (None, *range(8, 16)),
                                        (None, *range(8, 16))),
                               *product((None, False), (None,), SOME, SOME)]),
    "aiohttp": (aiohttp_answer, [{}]),
    "coder": (coder_answer, [{"takeover": True}, {"no_takeover": True}]),
}[PEER]
HAS_PARTS = PEER != "aiohttp"


@contextlib.contextmanager
def server():
    with scratch() as directory:
        port = peers.free_port()
        with peers.Program([*ARGV, port], [port], directory):
            yield f"ws://127.0.0.1:{port}/"


def query(knobs, parts):
    words = [name if value is True else f"{name}={json.dumps(value)}"
             for name, value in knobs.items()]
    return "?" + "&".join(["deflate", *(["parts"] if parts else []), *words])


def own_words(sends, receives, bits):
    def mode(on):
        return "dedicated" if on else "shared"
    return ["--deflate", mode(sends), "--deflate-recv", mode(receives), "--window", bits]


def check_ticks(way, what, takeover, bits):
    plain, deflated = way
    if takeover and bits >= deflate.TELLING_WINDOW_BITS:
        assert deflated < 0.3 * plain, f"{what}: {way} with takeover"
    elif not takeover:
        assert 0.5 * plain < deflated < 0.7 * plain, f"{what}: {way} without takeover"


def echo(url, knobs, own, parts=False, level=1, largest=1 << 20):
    """All messages come back, and both ends tell the same of how."""
    sends, receives, bits = own
    target = url + query(knobs, parts)
    words = [*own_words(*own), "--mixed", "--level", level, "--max-size", largest]
    try:
        answer = ANSWER(knobs, offers(*own))
    except Refused:
        client.refused(target, client.HTTP_STATUS, ["400"], *words)
        return
    report = client.works(target, *words, messages=MESSAGES)
    same(deflate.parameters(report["extensions"] or None), answer, "answer")
    # What the client has offered, and what the server has answered, each binds the client.
    sends = sends and CLIENT_NO not in answer
    receives = receives and SERVER_NO not in answer
    send_bits = min(answer.get(CLIENT_BITS, 15), bits if sends else 15)
    receive_bits = answer.get(SERVER_BITS, 15)
    got = report["deflate"]
    same((got["agreed"], got["sends"], got["receives"]),
         (True, [sends, send_bits], [receives, receive_bits]), "the client's view")
    ticks = report["after_ticks"]
    if send_bits == 8:
        same(got["sent"], [0, 0], "sent")            # zlib cannot
    else:
        check_ticks(ticks["sent"], "sent", sends, send_bits)
    check_ticks(ticks["received"], "received", receives, receive_bits)


def run_cases(cases):
    """Cases are pairs of what the server and what the client is set to; two at a time."""
    def run(url, i, case):
        try:
            echo(url, *case, parts=HAS_PARTS and i % 4 == 1, level=1 + i % 9,
                 largest=1 << (16 if i % 3 else 20))
        except AssertionError as e:
            raise AssertionError(f"{case[0]} with {case[1]}: {e}") from e

    with server() as url, ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run, url, i, case) for i, case in enumerate(cases)]
        try:
            for one in running:
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def test_every_setting_of_the_server_with_takeover():
    windows = itertools.cycle(OWN[1:])
    run_cases((knobs, next(windows)) for knobs in KNOBS)


def test_every_setting_of_the_server_without_takeover():
    # The client says itself what the flags ask for: all of them or none are enough here.
    run_cases((knobs, OWN[0]) for knobs in KNOBS if len(set(FLAGS) & set(knobs)) != 1)


def test_every_setting_of_the_client():
    ends = KNOBS[:1] + KNOBS[1:][-1:]
    run_cases((knobs, own) for knobs in ends for own in OWN)


def test_without_compression_on_either_side_nothing_is_agreed():
    with server() as url:
        # The package `websockets` always agrees.
        declined = [] if PEER == "websockets" else [(url, "shared")]
        for target, mode in [(url + query(KNOBS[0], False), "off"), *declined]:
            report = client.works(target, "--deflate", mode, "--mixed", messages=MESSAGES)
            same((report["extensions"], report["deflate"]["agreed"], report["deflate"]["sent"]),
                 ("", False, [0, 0]))


main(__name__)
