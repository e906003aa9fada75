"""What the library's client makes of a bad TLS server: `openssl s_server`, which answers every
request with a page, so that status 200 says that TLS was made."""
import contextlib
import socket
import threading

import client
import peers
from certs import Authority
from harness import main, same, scratch

URL = "wss://localhost:%d/"


@contextlib.contextmanager
def s_server(directory, certificate, *options):
    port = peers.free_port()
    cert, key = certificate
    argv = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", key,
            "-www", "-quiet", *options]
    with peers.Program(argv, [port], directory):
        yield URL % port


@contextlib.contextmanager
def authority():
    with scratch() as directory:
        yield directory, Authority(directory)


def speaks_tls(url, *options):
    report = client.connect(url, *options)
    same((report["opened"], report["error"], report["http_status"]), (0, client.HTTP_STATUS, 200),
         f"opened, error, status ({client.told(report)})")


# req: 110
def test_tls_1_2_and_1_3_are_spoken_and_1_1_is_not():
    with authority() as (directory, ca):
        cert = ca.issue()
        for version in ("-tls1_2", "-tls1_3"):
            with s_server(directory, cert, version) as url:
                speaks_tls(url, "--cacert", ca.ca)
        old = ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        with s_server(directory, cert, *old) as url:
            client.refused(url, client.TLS, ["protocol version"], "--cacert", ca.ca)
            client.refused(url, client.TLS, ["protocol version"], "--insecure")


# req: 9, 111
def test_certificate_of_another_name_is_refused():
    with authority() as (directory, ca):
        with s_server(directory, ca.issue("other", ("DNS:other.example",))) as url:
            client.refused(url, client.TLS_VERIFY, ["localhost"], "--cacert", ca.ca)
            client.refused(url.replace("localhost", "127.0.0.1"), client.TLS_VERIFY, ["127.0.0.1"],
                           "--cacert", ca.ca)
            speaks_tls(url, "--cacert", ca.ca, "--tls-name", "other.example")
            speaks_tls(url, "--insecure")
        with s_server(directory, ca.issue("wild", ("DNS:*.example.test",))) as url:
            for name in ("a.example.test", "A.EXAMPLE.TEST"):
                speaks_tls(url, "--cacert", ca.ca, "--tls-name", name)
            for name in ("example.test", "b.a.example.test", "a.example.com"):
                client.refused(url, client.TLS_VERIFY, [name], "--cacert", ca.ca,
                               "--tls-name", name)


# req: 9, 111
def test_common_name_alone_is_not_a_name():
    with authority() as (directory, ca):
        with s_server(directory, ca.issue("localhost", ("DNS:other.example",))) as url:
            client.refused(url, client.TLS_VERIFY, ["localhost"], "--cacert", ca.ca)


# req: 9, 111
def test_expired_certificate_is_refused():
    with authority() as (directory, ca):
        with s_server(directory, ca.issue(days=-1)) as url:
            client.refused(url, client.TLS_VERIFY, ["expired"], "--cacert", ca.ca)
            speaks_tls(url, "--insecure")


# req: 9, 111
def test_certificate_of_an_unknown_issuer_is_refused():
    with authority() as (directory, ca):
        stranger = Authority(directory, "stranger")
        with s_server(directory, stranger.issue()) as url:
            client.refused(url, client.TLS_VERIFY, ["issuer"], "--cacert", ca.ca)
            client.refused(url, client.TLS_VERIFY, ["issuer"])
            speaks_tls(url, "--cacert", stranger.ca)


# req: 9, 111
def test_certificate_for_clients_only_is_refused():
    with authority() as (directory, ca):
        with s_server(directory, ca.issue(purpose="clientAuth")) as url:
            client.refused(url, client.TLS_VERIFY, ["purpose"], "--cacert", ca.ca)


def test_server_that_wants_a_client_certificate_says_so():
    with authority() as (directory, ca):
        cert, key = ca.issue("somebody", purpose="clientAuth")
        words = {"-tls1_2": "handshake failure", "-tls1_3": "certificate required"}
        for version, word in words.items():
            wants = ("-Verify", "2", "-CAfile", ca.ca, "-verify_return_error", version)
            with s_server(directory, ca.issue(), *wants) as url:
                client.refused(url, client.TLS, [word], "--cacert", ca.ca)
                speaks_tls(url, "--cacert", ca.ca, "--cert", cert, "--key", key)
                stranger = Authority(directory, "stranger").issue("other", purpose="clientAuth")
                client.refused(url, client.TLS, ["alert"], "--cacert", ca.ca, "--cert",
                               stranger[0], "--key", stranger[1])


def test_ciphers_without_authentication_or_with_cbc_are_refused():
    with authority() as (directory, ca):
        cert = ca.issue()
        for cipher in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "aNULL@SECLEVEL=0"):
            with s_server(directory, cert, "-tls1_2", "-cipher", cipher) as url:
                client.refused(url, client.TLS, ["handshake failure"], "--cacert", ca.ca)
        good = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
        with s_server(directory, cert, *good) as url:
            speaks_tls(url, "--cacert", ca.ca)


def test_alpn_is_http_1_1_and_a_server_of_http_2_alone_is_refused():
    with authority() as (directory, ca):
        with s_server(directory, ca.issue(), "-alpn", "h2,http/1.1") as url:
            speaks_tls(url, "--cacert", ca.ca)
        with s_server(directory, ca.issue(), "-alpn", "h2") as url:
            client.refused(url, client.TLS, ["application protocol"], "--cacert", ca.ca)


@contextlib.contextmanager
def tcp_server(answer):
    """A server that says `answer` to whoever connects, and then closes; None: it stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])
                    if answer is not None:
                        taken[-1].sendall(answer)
                        taken[-1].close()
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        for peer in taken:
            peer.close()


def test_what_is_not_tls_is_refused():
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03",
                   b"\x16\x03\x03\xff\xff" + b"x" * 70000, b"\x00" * 100):
        with tcp_server(answer) as port:
            report = client.connect(URL % port, "--insecure")
            assert report["error"] in (client.TLS, client.EOF, client.IO), client.told(report)
            assert report["detail"], client.told(report)


def test_server_that_says_nothing_is_given_up():
    with tcp_server(None) as port:
        for url in (URL % port, (URL % port).replace("wss", "ws")):
            report = client.refused(url, client.TIMEOUT, [], "--handshake-ms", "300")
            assert report["detail"], client.told(report)


def test_settings_that_cannot_be_used_are_told_before_anything_is_sent():
    with authority() as (directory, ca):
        cert, key = ca.issue()
        other = ca.issue("other")
        for options in (["--cacert", directory + "/none"], ["--cacert", key], ["--cert", cert],
                        ["--cert", cert, "--key", other[1]], ["--cert", directory, "--key", key]):
            client.refused(URL % 1, client.TLS_CONFIG, [], *options)


main(__name__)
