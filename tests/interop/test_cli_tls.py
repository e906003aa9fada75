"""TLS of `ws connect` and `ws serve`: certificates, exit statuses, reloading; and subprotocols."""
import os
import re
import signal
import socket
import ssl
import subprocess
from pathlib import Path

from certs import Authority
from cli import DONE, FAILED, TLS, USAGE, check, connect, finish, run, started
from harness import WS, Server, main, same, scratch


def test_connect_verifies_the_certificate_and_its_name():
    with scratch() as directory:
        authority, other = Authority(directory), Authority(directory, "other authority")
        cert, key = authority.issue("server")
        with Server("--tls-cert", cert, "--tls-key", key) as s:
            assert s.url.startswith("wss://"), s.url
            check(connect("--cacert", authority.ca, s.url, stdin=b"hi"), DONE, b"hi\n")
            check(connect("--insecure", s.url, stdin=b"hi"), DONE, b"hi\n")
            check(connect(s.url), TLS, b"", "certificate")
            check(connect("--cacert", other.ca, s.url), TLS, b"", "certificate")
            check(connect("--cacert", authority.ca, "--tls-name", "wrong.example", s.url), TLS, b"")
            check(connect("--cacert", authority.ca, "--tls-name", "localhost", s.url), DONE)
            check(connect("--cacert", directory + "/none", s.url), TLS, b"", "none")
            check(connect(s.url.replace("wss", "ws")), FAILED, b"")
            log = check(connect("-v", "--cacert", authority.ca, s.url), DONE).stderr.decode()
            assert re.search(r"\* TLSv1\.3, TLS_\w+", log) and "certificate of CN" in log, log
            same(s.wait_log("^ws: open ")["tls"], "TLSv1.3")
        with Server() as plain:
            check(connect(plain.url.replace("ws", "wss", 1)), TLS, b"")


def test_connect_shows_its_own_certificate():
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue("server")
        mine, my_key = authority.issue("joe", purpose="clientAuth")
        locked, password = directory + "/locked.key", directory + "/password"
        subprocess.run(["openssl", "pkey", "-in", my_key, "-aes256", "-passout", "pass:open sesame",
                        "-out", locked], check=True, timeout=20)
        Path(password).write_text("open sesame\nnot this\n")
        tls = ("--tls-cert", cert, "--tls-key", key, "--client-ca", authority.ca)
        with Server(*tls) as s:
            trust = ("--cacert", authority.ca, s.url)
            check(connect("--cert", mine, "--key", my_key, *trust, stdin=b"hi"), DONE, b"hi\n")
            assert "joe" in s.wait_log("^ws: open ")["client"]
            check(connect("--cert", mine, "--key", locked, "--key-password-file", password, *trust),
                  DONE)
            Path(password).write_text("wrong\n")
            check(connect("--cert", mine, "--key", locked, "--key-password-file", password, *trust),
                  TLS, b"", "TLS settings")
            check(connect("--cert", mine, "--key", my_key, "--key-password-file", "/nowhere",
                          *trust), FAILED, b"", "No such file")
            check(connect("--cert", mine, "--key", key, *trust), TLS, b"", "TLS settings")
            r = connect(*trust)
            assert r.returncode in (TLS, FAILED), r        # TLS 1.3: the client is told later
        with Server(*tls, "--client-cert", "optional") as s:
            check(connect("--cacert", authority.ca, s.url), DONE)
            same(s.wait_log("^ws: open ")["client"], "")


def test_serve_self_signed_says_how_to_connect():
    with scratch() as directory:
        out = directory + "/cert.pem"
        with Server("--self-signed", "--self-signed-out", out) as s:
            check(connect("--cacert", out, s.url, stdin=b"hi"), DONE, b"hi\n")
            s.wait_log(f"ws: try: ws connect --cacert '{re.escape(out)}' {s.url}")
        with Server("--self-signed=test.example", "--self-signed-out", out) as s:
            check(connect("--cacert", out, "--connect-to", f"127.0.0.1:{s.port}",
                          "wss://test.example/", stdin=b"hi"), DONE, b"hi\n")
    with Server("--self-signed") as s:
        s.wait_log(f"ws: try: ws connect --insecure {s.url}")


def test_serve_loads_its_certificate_again_on_sighup():
    with scratch() as directory:
        old, new = Authority(directory, "old"), Authority(directory, "new")
        cert, key = directory + "/cert.pem", directory + "/cert.key"

        def install(authority):
            for source, target in zip(authority.issue(), (cert, key)):
                os.replace(source, target)
        install(old)
        with Server("--tls-cert", cert, "--tls-key", key) as s:
            with started("connect", "--cacert", old.ca, s.url) as p:
                s.wait_log("^ws: open ")
                install(new)
                s.process.send_signal(signal.SIGHUP)
                s.wait_log("the certificate was loaded again")
                check(connect("--cacert", new.ca, s.url, stdin=b"hi"), DONE, b"hi\n")
                check(connect("--cacert", old.ca, s.url), TLS)
                Path(cert).write_text("no certificate\n")
                s.process.send_signal(signal.SIGHUP)
                s.wait_log("reload failed, the old certificate stays in use: .*cert.pem")
                check(connect("--cacert", new.ca, s.url, stdin=b"hi"), DONE, b"hi\n")
                p.stdin.write(b"still open\n")
                p.stdin.flush()
                same(p.stdout.readline(), b"still open\n")
                check(finish(p), DONE)


def test_serve_tls_options_that_do_not_fit_are_refused():
    for words, why in (
        (("--tls-cert", "a", "--self-signed"), "choose one of"),
        (("--tls-key", "a"), "--tls-key needs --tls-cert"),
        (("--tls-key-password-file", "a"), "needs --tls-cert"),
        (("--client-ca", "a"), "--client-ca needs"),
        (("--tls-cert", "a", "--client-cert", "optional"), "--client-cert needs --client-ca"),
        (("--client-cert", "maybe"), "--client-cert 'maybe'"),
        (("--tls-min", "1.1"), "--tls-min '1.1'"),
        (("--tls-min", "1.3"), "--tls-min needs"),
        (("--self-signed-out", "a"), "--self-signed-out needs"),
        (("--subprotocol", "a,b"), "--subprotocol 'a,b'"),
        (("--self-signed", "name"), "unexpected argument 'name'"),
    ):
        check(run("serve", *words), USAGE, b"", re.escape(why))
    check(run("serve", "--tls-cert", "/nowhere/cert.pem"), FAILED, b"", "/nowhere/cert.pem")
    check(run("serve", "--self-signed", "--self-signed-out", "/nowhere/x", "-l", "127.0.0.1:0"),
          FAILED, b"", "/nowhere/x.*No such file")


def test_serve_tls_min_refuses_older_versions():
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue()
        for options, accepted in ((("--tls-min", "1.3"), False), ((), True)):
            with Server("--tls-cert", cert, "--tls-key", key, *options) as s:
                context = authority.context()
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                with socket.create_connection(("127.0.0.1", s.port), 5) as sock:
                    try:
                        context.wrap_socket(sock, server_hostname="localhost").close()
                        shaken = True
                    except ssl.SSLError:
                        shaken = False
                same(shaken, accepted, options)


def test_serve_agrees_to_a_subprotocol_in_every_mode():
    for mode in ("--echo", "--chat"):
        for quiet in ((), ("--quiet",)):
            argv = [WS, "serve", "-l", "127.0.0.1:0", mode, *quiet, "--subprotocol", "b",
                    "--subprotocol", "a"]
            with Server(argv=argv) as s:
                r = check(connect("-v", "--subprotocol", "a", "--subprotocol", "b", s.url), DONE)
                assert b"< Sec-WebSocket-Protocol: b\n" in r.stderr, r.stderr
                r = check(connect("-v", "--subprotocol", "c", s.url), DONE)
                assert b"< Sec-WebSocket-Protocol" not in r.stderr, r.stderr


main(__name__)
