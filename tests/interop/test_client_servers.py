"""The library's client and an echo server of others, INTEROP_SERVER: plain and over TLS."""
import contextlib
import json
import os

import client
import peers
from certs import Authority
from harness import SIZES, main, same, scratch

ARGV = json.loads(os.environ["INTEROP_SERVER"])
ALL = 2 * len(SIZES)                                # as text and as binary


@contextlib.contextmanager
def server(tls=False):
    """Its URL, and the options with which the client trusts it."""
    with scratch() as directory:
        port = peers.free_port()
        words, options = [*ARGV, port], []
        if tls:
            authority = Authority(directory)
            words += authority.issue("localhost")
            options = ["--cacert", authority.ca]
        with peers.Program(words, [port], directory):
            yield f"{'wss' if tls else 'ws'}://localhost:{port}/", options


def test_every_size_comes_back_plain():
    with server() as (url, options):
        report = client.works(url, *options, messages=ALL)
        same((report["tls"], report["attempts"]), ("", 1))


def test_every_size_comes_back_over_tls():
    with server(tls=True) as (url, options):
        report = client.works(url, *options, messages=ALL)
        same((report["tls"], report["server_name"]), ("TLSv1.3", "localhost"))
        assert "CN=localhost" in report["peer_subject"], report["peer_subject"]


def test_subprotocol_of_the_servers_choice_is_taken():
    with server() as (url, _):
        offers = [word for name in ("chat.v2", "chat") for word in ("--subprotocol", name)]
        same(client.works(url, *offers, "--max-size", 125)["subprotocol"], "chat")
        same(client.works(url, "--max-size", 125)["subprotocol"], "")


def test_many_connections_one_after_another_resume_their_session():
    with server(tls=True) as (url, options):
        reports = client.connect_all(url, *options, "--times", 20, "--max-size", 126)
        same([(r["ok"], r["messages"]) for r in reports], [(True, 8)] * 20)
        resumed = "".join("-R"[r["resumed"]] for r in reports)
        # A ticket is used once (RFC 8446 C.4), and not every server gives a new one for it.
        assert resumed.startswith("-R") and "--" not in resumed, f"resumed: {resumed}"


def test_server_without_a_known_issuer_is_refused():
    with server(tls=True) as (url, options):
        client.refused(url, client.TLS_VERIFY, ["certificate"])
        assert client.works(url, "--insecure", "--max-size", 1)["tls"]


def test_wrong_scheme_fails_with_a_reason():
    with server() as (url, _):
        # Some servers wait for the rest of what they take for a request.
        quick = ("--insecure", "--handshake-ms", 1000)
        report = client.connect(url.replace("ws:", "wss:"), *quick)
        errors = (client.TLS, client.EOF, client.TIMEOUT)
        assert report["error"] in errors and report["detail"], client.told(report)
    with server(tls=True) as (url, _):
        report = client.connect(url.replace("wss:", "ws:"))
        errors = (client.HTTP, client.HTTP_STATUS, client.EOF)
        assert report["error"] in errors and report["detail"], client.told(report)


main(__name__)
