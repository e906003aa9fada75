"""`ws connect` and `ws ping` in pipes, against `ws serve` and the Python package `websockets`:
messages, exit statuses, options, signals."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from cli import (DONE, ENVIRONMENT, FAILED, LOST, NO_MESSAGE, REFUSED, TLS, USAGE, check, connect,
                 finish, python_server, run, started, upgrade, wait_open)
from harness import WS, Server, binary, main, same, scratch, text

# ---- pipes

def test_connect_sends_each_line_and_prints_each_answer():
    with Server() as s:
        lines = "one\n\n  two \r\n\u20ac \U0001f600\nlast without newline".encode()
        check(run("connect", s.url, stdin=lines), DONE, lines + b"\n", r"^$")
        line = s.wait_log("^ws: close ")
        same((line["messages_in"], line["code"], line["clean"]), ("5", "1000", "yes"))


def test_connect_without_input_closes_1000():
    with Server() as s:
        check(connect(s.url), DONE, b"")
        check(connect(s.url, stdin=subprocess.DEVNULL), DONE, b"")
        closed = [s.wait_log("^ws: close ", i)["code"] for i in (1, 2)]
        same(closed, ["1000", "1000"])


def test_connect_with_closed_streams_uses_no_socket_as_stdin():
    with Server() as s:
        for closing in ("<&-", "<&- 2>&-"):
            r = subprocess.run(["sh", "-c", f'exec "$0" connect "$1" {closing}', WS, s.url],
                               env=ENVIRONMENT, timeout=20)
            same(r.returncode, DONE, closing)
        r = subprocess.run(["sh", "-c", 'echo hi | "$0" connect "$1" >&-', WS, s.url],
                           env=ENVIRONMENT, timeout=20, stderr=subprocess.PIPE)
        same(r.returncode, FAILED, "stdout closed")
        assert b"cannot write to standard output" in r.stderr, r.stderr


def test_connect_reads_a_file_as_stdin():
    with Server() as s, scratch() as directory:
        path = Path(directory, "lines")
        path.write_bytes(b"".join(b"%d\n" % i for i in range(50000)))
        with open(path, "rb") as f:
            check(connect(s.url, stdin=f), DONE, path.read_bytes())
        directory_fd = os.open(directory, os.O_RDONLY)   # which cannot be read
        try:
            check(connect(s.url, stdin=directory_fd), FAILED, b"", "cannot read standard input")
        finally:
            os.close(directory_fd)


def test_connect_waits_for_an_answer_that_is_slow():
    def answer_late(ws):
        for message in ws:
            time.sleep(0.4)
            ws.send("late " + message)
    with python_server(answer_late) as url:
        check(run("connect", url, stdin=b"a\nb\nc\n"), DONE, b"late a\nlate b\nlate c\n")
        check(connect("--linger", "0", url, stdin=b"a\n"), DONE, b"")
        check(connect("--one", url, stdin=b"a\nb\n"), DONE, b"late a\n")


def test_connect_linger_never_stays_until_the_server_closes():
    def feed(ws):
        for i in range(3):
            time.sleep(0.7)
            ws.send(str(i))
        ws.close(1000, "bye")
    with python_server(feed) as url:
        check(connect("--linger", "never", url), DONE, b"0\n1\n2\n")


def test_connect_one_exits_after_the_first_message():
    with Server() as s:
        start = time.monotonic()
        check(connect("--one", "--no-compress", s.url, stdin=b"a\nb\n"), DONE, b"a\n")
        with started("connect", "--one", s.url) as p:    # stdin stays open
            p.stdin.write(b"x\n")
            p.stdin.flush()
            same(p.stdout.readline(), b"x\n")
            same(p.wait(10), DONE)
        assert time.monotonic() - start < 5
        check(connect("--one", "--linger", "0.1", s.url), NO_MESSAGE, b"", "no message came")


def test_connect_one_without_a_message_fails_also_after_a_clean_close():
    with python_server(lambda ws: ws.close(1000)) as url:
        check(connect("--one", "--linger", "never", url), NO_MESSAGE, b"", "no message came")


def test_connect_shows_binary_as_hexadecimal():
    with Server() as s:
        every = bytes(range(256))
        answer = check(connect("--hex", s.url, stdin=every.hex().encode() + b"\n"), DONE)
        same(answer.stdout, every.hex().encode() + b"\n")
        odd = b"00 FF\t10\n\nAb\n"
        check(connect("--hex", s.url, stdin=odd), DONE, b"00ff10\n\nab\n")
        big = binary(300000)
        check(connect("--hex", s.url, stdin=big.hex().encode()), DONE, big.hex().encode() + b"\n")
    with python_server(lambda ws: (ws.send(b"\x00\xff"), ws.send("text"))) as url:
        check(connect(url), DONE, b"00ff\ntext\n")


def test_connect_binary_passes_every_byte():
    with Server() as s:
        for size in (1, 256, 65536, 3 << 20):
            data = binary(size)
            check(connect("--binary", s.url, stdin=data), DONE, data)


def test_connect_long_message_within_and_beyond_max_message():
    with Server() as s:
        line = text(2000).encode()
        check(connect("--max-message", "2000", s.url, stdin=line), DONE, line + b"\n")
        check(connect("--max-message", "1999", s.url, stdin=line), LOST, b"", "connection lost")
        line = text(3 << 20).encode()
        check(connect("--max-line", "4M", s.url, stdin=line), DONE, line + b"\n")


def test_connect_line_that_cannot_be_sent_ends_it_with_status_2():
    with Server() as s:
        for options, lines, why in (
            ((), b"ok\n\xff\xfe\nnever\n", "line 2: the text is not UTF-8"),
            ((), b"ok\ncut \xe2\x82\nnever\n", "line 2: the text is not UTF-8"),
            (("--hex",), b"00\n0\nff\n", "line 2: not hexadecimal"),
            (("--hex",), b"00\nzz\nff\n", "line 2: not hexadecimal"),
            (("--max-line", "10"), b"ok\n" + b"x" * 11 + b"\nnever\n", "line 2: .*too long"),
            (("--max-line", "10"), b"ok\n" + b"x" * 300000, "line 2: .*too long"),
        ):
            r = check(connect(*options, s.url, stdin=lines), USAGE, None, why)
            assert b"never" not in r.stdout and b"ff" not in r.stdout, r.stdout
        check(connect("--max-line", "10", s.url, stdin=b"x" * 10), DONE, b"x" * 10 + b"\n")


def test_connect_timestamps_each_message():
    with Server() as s:
        r = check(connect("--timestamps", s.url, stdin=b"a\nb\n"), DONE)
        stamp = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
        assert re.fullmatch(stamp + b"a\n" + stamp + b"b\n", r.stdout), r.stdout


def test_connect_is_slowed_down_by_a_slow_server():
    release = threading.Event()
    got = []

    def slow(ws):
        release.wait(20)
        for message in ws:
            got.append(message)
    with python_server(slow, max_queue=1) as url, started("connect", "--binary", url) as p:
        chunk = binary(1 << 20)
        fd = p.stdin.fileno()
        os.set_blocking(fd, False)
        taken, idle_since = 0, time.monotonic()
        while time.monotonic() - idle_since < 0.5 and taken < 64 << 20:
            with contextlib.suppress(BlockingIOError):
                taken += os.write(fd, chunk[taken % 4096:][:4096])
                idle_since = time.monotonic()
        assert taken < 64 << 20, "it took everything: nothing bounds what it keeps"
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{p.pid}/status").read_text())[1])
        assert "libasan" in Path(f"/proc/{p.pid}/maps").read_text() or resident < 32 << 10, resident
        release.set()
        check(finish(p), DONE)
    same(sum(map(len, got)), taken, "bytes that arrived")


def test_connect_holds_back_the_server_when_stdout_is_slow():
    sent = []
    message = binary(100000)

    def feed(ws):
        for i in range(400):
            ws.send(message)
            sent.append(i)
    with python_server(feed) as url, \
            started("connect", "--binary", url, stdin=subprocess.DEVNULL) as p:
        before = -1
        while before < len(sent) < 400:                  # until nothing more was taken for a while
            before = len(sent)
            time.sleep(1)
        assert len(sent) < 400, "nobody read, yet all of it was taken"
        total = 0
        while part := p.stdout.read(1 << 20):
            total += len(part)
        same((total, p.wait(10)), (400 * 100000, DONE))


def test_connect_ends_quietly_when_nobody_reads_its_output():
    def feed(ws):
        for i in range(100000):
            ws.send(f"line {i}")
    with python_server(feed) as url:
        with started("connect", "--linger", "never", url, stdin=subprocess.DEVNULL) as p:
            same(p.stdout.readline(), b"line 0\n")
            p.stdout.close()
            same((p.wait(10), p.stderr.read()), (DONE, b""))
    with Server() as s, started("connect", "-v", s.url) as p:  # also while nothing comes
        wait_open(p)
        p.stdout.close()
        same(p.wait(10), DONE)
        assert b"ws connect:" not in p.stderr.read()
        same(s.wait_log("^ws: close ")["code"], "1000")
    with Server() as s, open("/dev/full", "wb") as full:
        with started("connect", s.url, stdout=full) as p:
            check(finish_with(p, b"a\n"), FAILED, None, "cannot write to standard output: No space")


def finish_with(process, data):
    _, err = process.communicate(data, timeout=10)
    return subprocess.CompletedProcess(process.args, process.returncode, b"", err)


def cpu(pid):
    """Seconds used so far."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def test_connect_sleeps_while_it_waits():
    stay = threading.Event()

    message = binary(100000)

    def feed(ws):
        for _ in range(400):
            ws.send(message)
    with Server() as s, open("/dev/zero", "rb") as zero, \
            python_server(lambda ws: stay.wait(20), max_queue=1, close_timeout=0.1) as deaf, \
            python_server(feed, close_timeout=0.1) as talkative, \
            started("connect", s.url) as idle, \
            started("connect", "--linger", "never", s.url, stdin=subprocess.DEVNULL) as ended, \
            started("connect", "--binary", deaf, stdin=zero) as blocked, \
            started("connect", "--binary", talkative) as unread:
        time.sleep(1.5)
        waiting = {"idle": idle, "at the end": ended, "blocked": blocked, "unread": unread}
        before = {name: cpu(p.pid) for name, p in waiting.items()}
        time.sleep(1)
        for name, p in waiting.items():
            same(p.poll(), None, name)
            used = cpu(p.pid) - before[name]
            assert used <= 0.05, f"{used:.2f} s of CPU in a second of rest when {name}"
            p.kill()
        stay.set()


# ---- exit statuses

def test_connect_says_why_it_could_not_connect():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))                      # nobody listens there
        url = "ws://127.0.0.1:%d/" % free.getsockname()[1]
        check(connect(url), FAILED, b"", "cannot connect: .*refused")
        check(connect("--proxy", url.replace("ws:", "http:"), "ws://x/"), FAILED, b"", "refused")
    check(connect("ws://does-not-exist.invalid/"), FAILED, b"", "cannot connect: .*invalid")
    check(connect("ws+unix:///nowhere/there"), FAILED, b"", "cannot connect")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = "ws://127.0.0.1:%d/" % silent.getsockname()[1]
        check(connect("--timeout", "0.3", url), FAILED, b"", "cannot connect")


def test_connect_proxy_of_the_environment_is_used_unless_no_proxy():
    with Server() as s, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = {"http_proxy": "http://127.0.0.1:%d" % free.getsockname()[1]}
        check(connect(s.url, env=proxy), FAILED, b"", "refused")
        check(connect("--no-proxy", s.url, env=proxy, stdin=b"hi"), DONE, b"hi\n")


def test_connect_refused_by_http_prints_status_and_body():
    body = "no\x1b[31m entry\nsecond line\n"
    with python_server(lambda ws: None, process_request=lambda c, r: c.respond(403, body)) as url:
        r = check(connect(url), REFUSED, b"", r"HTTP status 403")
        assert b"no\\x1b[31m entry\nsecond line\n" in r.stderr, r.stderr
    with python_server(lambda ws: None,
                       process_request=lambda c, r: c.respond(404, "x" * 60000)) as url:
        r = check(connect(url), REFUSED, b"", r"HTTP status 404")
        assert len(r.stderr) < 6000 and b"bytes more" in r.stderr, len(r.stderr)
    with Server() as s:
        check(connect("--origin", "https://evil.example", s.url), REFUSED, b"", "403")
        check(connect("--origin", s.http, s.url, stdin=b"a"), DONE, b"a\n")


def test_connect_answer_that_is_no_http_is_status_4():
    def talk_nonsense(server):
        with contextlib.suppress(OSError):
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                peer.recv(1000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=talk_nonsense, args=(server,), daemon=True)
        thread.start()
        check(connect("ws://127.0.0.1:%d/" % server.getsockname()[1]), REFUSED, b"")


def test_connect_status_tells_how_the_server_closed():
    for code, status in ((1000, DONE), (1001, DONE), (1011, LOST), (3999, LOST)):
        def close(ws):
            ws.recv()
            ws.close(code, "because \x07")
        with python_server(close) as url:
            r = check(connect("--linger", "never", url, stdin=b"x"), status)
            if status == LOST:
                assert f'code {code} "because \\x07"'.encode() in r.stderr, r.stderr
    with python_server(lambda ws: (ws.recv(), ws.socket.shutdown(socket.SHUT_RDWR))) as url:
        check(connect("--linger", "never", url, stdin=b"x"), LOST, b"", "connection lost")


def test_connect_follows_redirects_only_when_told():
    with Server() as s:
        def redirect(connection, request):
            response = connection.respond(302, "over there")
            response.headers["Location"] = s.url
            return response
        with python_server(lambda ws: None, process_request=redirect) as url:
            check(connect(url, stdin=b"x"), REFUSED, b"", "302")
            check(connect("--redirects", "1", url, stdin=b"x"), DONE, b"x\n")


def test_connect_reconnects_until_a_signal():
    count = 0

    def close_at_once(ws):
        nonlocal count
        count += 1
        ws.send(f"hello {count}")
        ws.close(1012)
    with python_server(close_at_once) as url, started("connect", "--reconnect", url) as p:
        same([p.stdout.readline() for _ in range(3)], [b"hello 1\n", b"hello 2\n", b"hello 3\n"])
        p.send_signal(signal.SIGINT)
        r = finish(p)
        same(r.returncode, DONE)
        assert re.search(rb"again in \d+\.\d s", r.stderr), r.stderr


# ---- bad options

def test_bad_options_are_refused_with_a_message_and_status_2():
    u = "ws://127.0.0.1:1/"
    for words, why in (
        ((), "the URL is missing"),
        ((u, u), "unexpected argument"),
        (("--nothing", u), "unknown option '--nothing'"),
        (("-z", u), "unknown option '-z'"),
        ((u, "--header"), "'--header' needs a value"),
        (("--one=1", u), "takes no value"),
        (("-H", "no colon", u), "--header: write it as"),
        (("-H", "a b: c", u), "not the name of a header field"),
        (("-H", ": c", u), "not the name of a header field"),
        (("-H", "A: b\nC: d", u), "line break"),
        (("-H", "Host: x", u), "Host"),
        (("-H", "Sec-WebSocket-Key: x", u), "Sec-WebSocket-Key"),
        (("--subprotocol", "a b", u), "--subprotocol 'a b'"),
        (("--subprotocol", "a", "--subprotocol", "a", u), "given twice"),
        (("--origin", "*", u), "--origin"),
        (("--user", "nobody", u), "USER:PASSWORD"),
        (("--user", "a:b", "ws://c:d@127.0.0.1:1/"), "both in the URL and by --user"),
        (("--user", "a:b", "-H", "authorization: x", u), "choose one of --user"),
        (("--key", "k", u), "--key needs --cert"),
        (("--key-password-file", "k", u), "needs --cert"),
        (("--insecure", "--cacert", "x", u), "choose one of --insecure"),
        (("--tls-name", "", u), "--tls-name is empty"),
        (("--proxy", "http://x", "--no-proxy", u), "choose one of --proxy"),
        (("--proxy", "ftp://x", u), "proxy: "),
        (("--connect-to", "nowhere", u), "connect_to|connect-to"),
        (("--redirects", "-1", u), "--redirects '-1'"),
        (("--redirects", "101", u), "--redirects '101'"),
        (("--timeout", "soon", u), "--timeout 'soon'"),
        (("--ping", "x", u), "--ping 'x'"),
        (("--linger", "x", u), "--linger 'x'"),
        (("--max-message", "0", u), "--max-message '0'"),
        (("--max-line", "1X", u), "--max-line '1X'"),
        (("--binary", "--hex", u), "choose one of --binary and --hex"),
        (("--binary", "--timestamps", u), "choose one of --binary and --timestamps"),
        (("--one", "--reconnect", u), "choose one of --one and --reconnect"),
        (("--compress", "--no-compress", u), "choose one of --compress and --no-compress"),
        (("http://127.0.0.1:1/",), "http"),
        (("127.0.0.1:1",), "scheme"),
        (("ws://",), "ws connect: "),
        (("ws://x/#part",), "fragment"),
        (("--", "-x"), "ws connect: "),
    ):
        r = connect(*words)
        same((r.returncode, r.stdout), (USAGE, b""), f"{words}, with {r.stderr!r}")
        assert re.search(why, r.stderr.decode()), (words, r.stderr)
        assert r.stderr.endswith(b"Try 'ws connect --help'.\n"), (words, r.stderr)
    for words, why in ((("-c", "0", u), "--count"), (("-i", "0.001", u), "--interval"),
                       (("-W", "0", u), "--wait"), (("--one", u), "unknown option")):
        check(run("ping", *words), USAGE, b"", why)


def test_help_names_every_option_of_the_manual():
    for command in ("connect", "ping", "serve"):
        shown = check(run(command, "--help"), DONE, None, "^$").stdout.decode()
        assert all(len(line) <= 80 for line in shown.splitlines()), max(shown.splitlines(), key=len)
        manual = Path(__file__).resolve().parents[2].joinpath("cli/ws.1").read_text()
        for option in set(re.findall(r"--([a-z][a-z-]+)", shown)):
            named = re.search(rf"^\.(It|Op)? ?Fl .*-{option}( |$)", manual, re.M)
            assert named, f"--{option} of ws {command} is not in ws.1"
    listed = check(run("--help"), DONE).stdout
    assert all(word in listed for word in (b"serve", b"connect", b"ping")), listed


# ---- what the server gets

def test_connect_sends_headers_user_and_subprotocols():
    got = {}

    def look(connection, request):
        got.update(request.headers.raw_items())
    with python_server(lambda ws: ws.send(ws.subprotocol), process_request=look,
                       subprotocols=["b", "c"]) as url:
        r = connect("-H", "X-One: 1", "--header=X-Two:two words ", "-H", "X-Empty:",
                    "--user", "na\u00efve:pass word:", "--origin", "https://example.com",
                    "--subprotocol", "a", "--subprotocol", "b", "--one", url)
        check(r, DONE, b"b\n")
    same(got["X-One"], "1")
    same(got["X-Two"], "two words")
    same(got["X-Empty"], "")
    same(got["Origin"], "https://example.com")
    same(got["Authorization"], "Basic bmHDr3ZlOnBhc3Mgd29yZDo=")
    same(re.split(", *", got["Sec-WebSocket-Protocol"]), ["a", "b"])


def test_connect_to_dials_another_address_for_the_same_host():
    got = {}
    with python_server(lambda ws: ws.send("there"),
                       process_request=lambda c, r: got.update(r.headers.raw_items())) as url:
        port = url.rsplit(":", 1)[1].rstrip("/")
        check(connect("--connect-to", f"127.0.0.1:{port}", "--one", "ws://example.com/"), DONE,
              b"there\n")
    same(got["Host"], "example.com")


def test_connect_over_a_unix_socket():
    with scratch() as directory, Server(listen=(f"unix:{directory}/s",)) as _:
        check(connect(f"ws+unix://{directory}/s:/path", stdin=b"hi"), DONE, b"hi\n")


def test_verbose_shows_the_way_but_no_credentials():
    with python_server(lambda ws: ws.recv() and ws.send("x")) as url:
        words = ("-H", "X-Api-Token: hunter2", "-H", "Cookie: id=hunter2", "-H", "X-Plain: shown",
                 "-H", "Proxy-Authorization: hunter2")
        for user, where in ((("-u", "joe:hunter2"), url),
                            ((), url.replace("://", "://joe:hunter2@"))):
            r = check(connect("-v", *words, *user, where, stdin=b"hello\n"), DONE, b"x\n")
            log = r.stderr.decode()
            assert "hunter2" not in log and "aHVudGVyMg" not in log, log
            assert "am9lOmh1bnRlcjI" not in log, log
            for pattern in (r"> GET / HTTP/1\.1", r"> Host: 127\.0\.0\.1:\d+", "> X-Plain: shown",
                            r"> Cookie: \(not shown\)", "< HTTP/1.1 101", "< Upgrade: websocket",
                            r"\* .*address=127\.0\.0\.1", r"> text, 5 bytes", r"< text, 1 bytes",
                            r"> close, code 1000", r"< close, code 1000"):
                assert re.search(pattern, log), (pattern, log)


def test_complaints_do_not_show_credentials():
    for words in (("ws://joe:hunter2@127.0.0.1:1/",), ("ws://joe:hunter2@127.0.0.1:x/",),
                  ("ws://joe:hunter2@127.0.0.1:1/#f",), ("-H", "hunter2", "ws://127.0.0.1:1/"),
                  ("--user", "hunter2", "ws://127.0.0.1:1/"),
                  ("--proxy", "http://joe:hunter2@127.0.0.1:1/", "ws://127.0.0.1:1/"),
                  ("--proxy", "http://joe:hunter2@127.0.0.1:x/", "ws://127.0.0.1:1/")):
        r = connect(*words)
        assert r.returncode in (FAILED, USAGE) and b"hunter2" not in r.stderr, r.stderr


# ---- signals

def test_connect_closes_politely_on_sigint_and_sigterm():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Server() as s, started("connect", "-v", s.url) as p:
            wait_open(p)
            p.send_signal(number)
            same(finish(p).returncode, DONE)
            line = s.wait_log("^ws: close ")
            same((line["code"], line["clean"]), ("1000", "yes"))


def test_connect_ends_at_once_on_the_second_signal():
    # A peer that never answers the Close.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "ws://127.0.0.1:%d/" % server.getsockname()[1]
        with started("connect", "-v", url) as p:
            peer, _ = server.accept()
            with peer:
                upgrade(peer)
                wait_open(p)
                p.send_signal(signal.SIGINT)
                same(peer.recv(1)[0], 0x88, "a Close frame")
                start = time.monotonic()
                p.send_signal(signal.SIGINT)
                same(p.wait(3), DONE)
                assert time.monotonic() - start < 2


def test_connect_takes_the_end_of_the_stream_for_an_answer_to_its_close():
    for reset in (False, True):
        close_without_a_frame(reset)


def close_without_a_frame(reset):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "ws://127.0.0.1:%d/" % server.getsockname()[1]
        with started("connect", "-v", url) as p:
            peer, _ = server.accept()
            with peer:
                upgrade(peer)
                wait_open(p)
                p.stdin.close()
                p.stdin = None
                header = peer.recv(2)
                same(header, b"\x89" + bytes([0x80 | 24]), "a ping behind the end of the input")
                masked = b""
                while len(masked) < 4 + 24:
                    masked += peer.recv(4 + 24 - len(masked))
                mark = bytes(b ^ masked[i % 4] for i, b in enumerate(masked[4:]))
                peer.sendall(b"\x8a\x18" + mark)
                same(peer.recv(1)[0], 0x88, "a Close frame")
                if reset:                                # what was not read makes it one
                    peer.close()
                else:
                    peer.recv(100)
            r = finish(p)
            same(r.returncode, DONE, f"with reset={reset}, and {r.stderr} on stderr,")


def test_connect_interrupted_before_it_is_open_is_status_1():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with started("connect", "ws://127.0.0.1:%d/" % silent.getsockname()[1]) as p:
            peer, _ = silent.accept()
            p.send_signal(signal.SIGINT)
            same(p.wait(5), FAILED)
            peer.close()


# ---- ping

def test_ping_counts_round_trips():
    with Server() as s:
        r = check(run("ping", "-c", "3", "-i", "0.05", s.url), DONE, None, "^$")
        lines = r.stdout.decode().splitlines()
        where = rf"127\.0\.0\.1:{s.port}"
        assert re.fullmatch(rf"PING ws://{where}/ \({where}\)", lines[0]), lines
        for i in (1, 2, 3):
            assert re.fullmatch(rf"pong from {where} seq={i} time=\d+\.\d\d ms", lines[i]), lines
        same(lines[4:6], ["", f"--- {s.url} ping statistics ---"])
        assert re.fullmatch(r"3 pings, 3 pongs, 0% lost, time \d+ ms", lines[6]), lines
        low, mean, high, _ = map(float, re.fullmatch(
            r"rtt min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms", lines[7]).groups())
        assert low <= mean <= high, lines
        same(s.wait_log("^ws: close ")["code"], "1000")


def test_ping_stops_at_sigint_with_statistics():
    with Server() as s, started("ping", "-i", "0.05", s.url) as p:
        while b"seq=2" not in p.stdout.readline():
            pass
        p.send_signal(signal.SIGINT)
        r = check(finish(p), DONE)
        assert b"ping statistics" in r.stdout and b"rtt min/avg/max" in r.stdout, r.stdout


def test_ping_without_a_pong_is_status_1():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "ws://127.0.0.1:%d/" % server.getsockname()[1]
        with started("ping", "-c", "2", "-i", "0.05", "-W", "0.2", url) as p:
            peer, _ = server.accept()
            with peer:
                upgrade(peer)
                lines = [p.stdout.readline() for _ in range(3)]
                same(lines[1:], [b"no pong for seq=1\n", b"no pong for seq=2\n"])
                r = finish(p)
        same(r.returncode, FAILED)
        assert b"2 pings, 0 pongs, 100% lost" in r.stdout, r.stdout


def test_ping_exit_statuses():
    check(run("ping", "-c", "1", "ws://127.0.0.1:1/"), FAILED, b"", "cannot connect")
    with Server("--self-signed") as s:
        check(run("ping", "-c", "1", s.url), TLS, b"", "certificate")
        check(run("ping", "-c", "1", "-k", s.url), DONE)
    with Server() as s:
        check(run("ping", "-c", "1", "--origin", "https://x.example", s.url), REFUSED, b"", "403")
        with started("ping", "-i", "0.05", s.url) as p:
            p.stdout.readline()
            s.signal(signal.SIGTERM)
            check(finish(p), LOST, None, "closed by the server with code 1001")


main(__name__)
