"""curl as the peer of `ws serve`: plain HTTP, files, and every way to be refused."""
import contextlib
import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass, field

from harness import WS, Server, check_idle, main, same, scratch, until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
           "Sec-WebSocket-Version": "13"}


@dataclass
class Response:
    status: int
    fields: dict = field(default_factory=dict)       # lower-case name -> value
    body: bytes = b""


def curl(url, *options, headers=None, content=None, seconds=5):
    """Run curl; `headers` with None are left out of what curl sends.  The last response head
    counts: an interim 100 may come before it."""
    if content is not None:
        options = (*options, "--data-binary", "@-")
    words = ["curl", "-q", "--silent", "--include", "--http1.1", "--noproxy", "*",
             "--max-time", str(seconds)]
    for name, value in (headers or {}).items():
        field_line = f"{name}:" if value is None else f"{name}: {value}" if value else f"{name};"
        words += ["--header", field_line]
    r = subprocess.run([*words, *options, url], input=content, capture_output=True,
                       timeout=seconds + 5)
    assert r.stdout.startswith(b"HTTP/1.1 "), f"curl exit status {r.returncode}, {r.stdout[:80]}"
    head, _, rest = r.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    names = [line.split(":", 1)[0].lower() for line in lines[1:]]
    same(sorted(set(names)), sorted(names), "fields, none of them twice")
    fields = {n: line.split(":", 1)[1].strip() for n, line in zip(names, lines[1:])}
    fields.pop("date", None)                     # two answers may fall in different seconds
    return Response(int(lines[0].split(" ")[1]), fields, rest)


def upgrade(s, changes=None, *options, **kw):
    return curl(s.http + "/", *options, headers={**UPGRADE, **(changes or {})}, **kw)


def check_refusal(r, status, what):
    """As every refusal must be: closing, with a short text that says something."""
    same(r.status, status, f"status for {what}")
    connection = "close, Upgrade" if status == 426 else "close"
    same(r.fields.get("connection"), connection, f"Connection for {what}")
    same(r.fields.get("content-length"), str(len(r.body)), f"Content-Length for {what}")
    assert r.fields.get("content-type", "").startswith("text/plain"), (what, r.fields)
    assert re.fullmatch(rb"[ -~]{3,200}\n", r.body), (what, r.body)
    same(r.fields.get("upgrade"), "websocket" if status == 426 else None, f"Upgrade for {what}")
    if status == 426:
        same(r.fields.get("sec-websocket-version"), "13", what)


# ---- plain requests

def test_healthz_answers_get_and_head_in_every_mode():
    for mode in ("--echo", "--broadcast", "--chat"):
        with Server(mode) as s:
            got = curl(s.http + "/healthz")
            same((got.status, got.body), (200, b"ok\n"))
            head = curl(s.http + "/healthz", "--head")
            same((head.status, head.body, head.fields), (200, b"", got.fields), "HEAD")
            same(curl(s.http + "/healthz?x=1").status, 200)
            same(s.wait_log("^ws: request ")["path"], "/healthz")


# req: 45, 114, 116, 140
# bad: 7
def test_plain_get_is_told_to_upgrade_426():
    with Server("--echo") as s:
        for path in ("/", "/index.html", "/a/b?c", "/healthz/", "/HEALTHZ", "//healthz"):
            check_refusal(curl(s.http + path, "--path-as-is"), 426, path)


# req: 32, 124, 140
# bad: 5
def test_other_methods_are_refused_405_with_allow():
    with Server("--echo") as s, scratch() as site, Server("--chat", "--static", site) as t:
        for server in (s, t):
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X" * 60):
                r = curl(server.http + "/healthz", "--request", method)
                check_refusal(r, 405, method)
                assert "GET" in r.fields["allow"], r.fields
        check_refusal(curl(s.http + "/", content=b"x=1"), 405, "POST with content")
        check_refusal(curl(s.http + "/", content=b"x" * 200000), 405, "POST with much content")
        check_refusal(upgrade(s, None, "--request", "POST"), 405, "POST with Upgrade")


# ---- upgrades

# req: 47, 48, 50, 106, 113, 115, 119, 138
# bad: 8, 9, 17
def test_good_upgrade_gets_101_and_the_accept_of_the_rfc():
    with Server("--echo") as s:
        for change in ({}, {"Upgrade": "h2c, WebSocket"}, {"Connection": "keep-alive , UPGRADE"},
                       {"X-Anything": "\u00ff" * 100}, {"Sec-WebSocket-Protocol": "a, b"},
                       {"Sec-WebSocket-Extensions": "x-unknown; a=1"}, {"User-Agent": None}):
            r = upgrade(s, change, seconds=0.2)
            same(r.status, 101, f"status with {change}")
            wanted = {"upgrade": "websocket", "connection": "Upgrade",
                      "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}
            same(r.fields, wanted, "fields")


# req: 31, 32, 34, 35, 36, 37, 39, 42, 51, 117, 131, 140
# bad: 1, 3, 4, 6, 7, 8, 9, 10, 12, 14, 19
def test_bad_upgrades_are_refused_each_with_its_status():
    cases = [
        (426, {"Sec-WebSocket-Version": v}) for v in ("8", "7", "12", "14", "0", "256", "13.0")
    ] + [
        (400, {"Sec-WebSocket-Version": None}),
        (400, {"Sec-WebSocket-Key": None}), (400, {"Sec-WebSocket-Key": ""}),
        (400, {"Sec-WebSocket-Key": KEY[:-1]}), (400, {"Sec-WebSocket-Key": KEY + "="}),
        (400, {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR=="}),     # stray bits at the end
        (400, {"Sec-WebSocket-Key": "dGhlIHNhb XBsZSBub25jZQ="}),
        (400, {"Host": "a b"}), (400, {"Host": "[::1"}), (400, {"Host": "x:99999"}),
        (400, {"Host": "http://x"}), (400, {"Host": ""}), (400, {"Host": None}),
        (426, {"Upgrade": None}), (426, {"Upgrade": "notwebsocket"}), (426, {"Upgrade": "h2c"}),
        (426, {"Upgrade": "websocket/13"}), (426, {"Upgrade": ""}),
        (400, {"Connection": "keep-alive"}), (400, {"Connection": "upgrade-insecure"}),
        (400, {"Connection": None}),
        (400, {"Sec-WebSocket-Protocol": "ch at"}), (400, {"Sec-WebSocket-Protocol": "chat, chat"}),
        (400, {"Sec-WebSocket-Extensions": ";;"}),
        (400, {"Sec-WebSocket-Extensions": 'permessage-deflate; server_max_window_bits="1 0"'}),
    ]
    with Server("--echo") as s:
        before = s.descriptors()
        for status, change in cases:
            check_refusal(upgrade(s, change), status, change)
        check_refusal(upgrade(s, None, "--http1.0"), 400, "HTTP/1.0")
        same(s.logged("^ws: open "), [], "opened")
        until(lambda: s.descriptors() == before, failure="descriptors stay open")


# req: 38
# bad: 11, 13
def test_single_fields_given_twice_are_refused_400():
    with Server("--echo") as s:
        for line in ("Sec-WebSocket-Key: " + KEY, "Sec-WebSocket-Version: 13",
                     "Sec-WebSocket-Version: 8"):
            check_refusal(upgrade(s, None, "--header", line), 400, line)


# req: 135, 136, 137, 139
# bad: 32, 34, 35
def test_upgrade_with_a_body_is_refused_400():
    with Server("--echo") as s:
        def with_body(content, changes=None):
            changes = {"Expect": None, **(changes or {})}
            return upgrade(s, changes, "--request", "GET", content=content)
        check_refusal(with_body(b"GET /admin HTTP/1.1\r\n\r\n"), 400, "a request as the body")
        check_refusal(with_body(b"x" * 60000), 400, "60 kB")
        check_refusal(with_body(b"x" * 10, {"Transfer-Encoding": "chunked"}), 400, "chunked")
        check_refusal(upgrade(s, {"Content-Length": "-1"}), 400, "negative length")
        check_refusal(upgrade(s, {"Content-Length": "5, 6"}), 400, "two lengths")
        same(upgrade(s, {"Content-Length": "0"}, seconds=0.2).status, 101, "no body after all")


# req: 129
# bad: 20, 21, 23
def test_long_and_many_fields_are_refused_431_and_a_long_target_414():
    with Server("--echo") as s, scratch() as directory:
        same(curl(s.http + "/healthz?" + "x" * 7900).status, 200, "8,000 octets of request line")
        same(upgrade(s, {"Cookie": "c" * 7000}, seconds=0.2).status, 101, "7,000 bytes of cookie")
        check_refusal(curl(s.http + "/" + "x" * 20000), 414, "20,000 bytes of target")
        check_refusal(curl(s.http + "/" + "x" * 100000), 414, "100,000 bytes of target")
        check_refusal(upgrade(s, {"X-Long": "v" * 20000}), 431, "20,000 bytes in a field")
        path = directory + "/fields"
        with open(path, "w") as f:
            f.writelines(f"X-{i}: v\n" for i in range(5000))
        check_refusal(upgrade(s, None, "--header", "@" + path), 431, "5,000 fields")
        with open(path, "w") as f:
            f.writelines(f"X-{i}: {'v' * 1000}\n" for i in range(90))
        check_refusal(upgrade(s, None, "--header", "@" + path), 431, "90 kB of fields")


# req: 43, 107
# bad: 277, 278
def test_foreign_origin_is_refused_403():
    with Server("--echo") as s:
        for origin in ("https://evil.example", "null", "http://127.0.0.1", "file://"):
            check_refusal(upgrade(s, {"Origin": origin}), 403, origin)
        same(upgrade(s, {"Origin": s.http}, seconds=0.2).status, 101, "own origin")
        same(upgrade(s, {"Origin": "http://[" + "x" * 5000}).status in (400, 403), True, "garbage")
        twice = upgrade(s, {"Origin": s.http}, "--header", "Origin: " + s.http)
        check_refusal(twice, 400, "two origins")


# req: 118
# bad: 36
def test_expect_100_continue_with_upgrade_gets_100_then_101():
    with Server("--echo") as s:
        fields = {**UPGRADE, "Expect": "100-continue"}
        words = ["curl", "-q", "-si", "--noproxy", "*", "--max-time", "0.3"]
        words += [w for n, v in fields.items() for w in ("--header", f"{n}: {v}")]
        r = subprocess.run([*words, s.http], capture_output=True)
        same(re.findall(rb"HTTP/1.1 (\d+)", r.stdout), [b"100", b"101"])


# bad: 50, 51
def test_silent_connections_do_not_hold_up_others():
    with Server("--echo") as s, contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", s.port)))
        start = time.monotonic()
        same(curl(s.http + "/healthz").status, 200)
        assert time.monotonic() - start < 0.5
        check_idle(s)


# bad: 249
def test_server_without_descriptors_sleeps_and_recovers():
    argv = ["sh", "-c", 'ulimit -n 24; exec "$0" serve --verbose --listen 127.0.0.1:0', WS]
    with Server(argv=argv) as s:
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", s.port)))
            check_idle(s, wakeups=40)               # it looks again now and then
        start = time.monotonic()
        same(curl(s.http + "/healthz").status, 200)
        took = time.monotonic() - start
        assert took < 1.5, f"recovered after {took:.1f} s"


# ---- files

def make_site(directory):
    site = directory + "/site"
    files = {"index.html": "<h1>front</h1>", "style.css": "a{}", "data.bin": os.urandom(100000),
             "sub/index.html": "sub", "sub/page.html": "page", "a b.txt": "space", "empty.txt": "",
             ".secret": "hidden", ".git/config": "hidden", ".well-known/x.txt": "known",
             "nodefault/x.txt": "x", "../outside.txt": "outside"}
    for name, content in files.items():
        path = os.path.join(site, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
    os.symlink("../outside.txt", site + "/link.txt")
    os.symlink("/etc", site + "/etc")
    os.symlink("style.css", site + "/inside.css")
    os.mkfifo(site + "/pipe")
    return site, files


def test_static_files_are_served_with_type_and_length():
    with scratch() as directory:
        site, files = make_site(directory)
        with Server("--echo", "--static", site) as s:
            for path, name, kind in (
                ("/", "index.html", "text/html"),
                ("/style.css", "style.css", "text/css"),
                ("/data.bin", "data.bin", "application/octet-stream"),
                ("/sub/", "sub/index.html", "text/html"),
                ("/a%20b.txt", "a b.txt", "text/plain"),
                ("/empty.txt", "empty.txt", "text/plain"),
                ("/inside.css", "style.css", "text/css"),
                ("/sub/page.html?q=1", "sub/page.html", "text/html"),
                ("/.well-known/x.txt", ".well-known/x.txt", "text/plain"),
            ):
                content = files[name] if isinstance(files[name], bytes) else files[name].encode()
                r = curl(s.http + path)
                same((r.status, r.body), (200, content), path)
                assert r.fields["content-type"].startswith(kind), (path, r.fields)
                same(r.fields["x-content-type-options"], "nosniff")
                head = curl(s.http + path, "--head")
                same((head.status, head.body, head.fields), (200, b"", r.fields), "HEAD " + path)
                again = curl(s.http + path, headers={"If-None-Match": r.fields["etag"]})
                same((again.status, again.body), (304, b""), "If-None-Match " + path)
                assert again.fields["etag"] == r.fields["etag"], (path, again.fields)
                same(curl(s.http + path, headers={"If-Modified-Since": r.fields["last-modified"]})
                     .status, 304, "If-Modified-Since " + path)
            moved = curl(s.http + "/sub?q=1")
            same((moved.status, moved.fields["location"]), (301, "/sub/?q=1"))
            same(upgrade(s, seconds=0.2).status, 101, "upgrade beside the files")


def test_static_refuses_every_way_out_of_the_directory():
    outside = ("/../outside.txt", "/sub/../../outside.txt", "/%2e%2e/outside.txt",
               "/..%2foutside.txt", "/%2e%2e%2foutside.txt", "/sub/%2e%2e/%2e%2e/outside.txt",
               "/./../outside.txt", "//../outside.txt", "/..", "/../", "/link.txt", "/etc/passwd",
               "/etc/", "/..%5coutside.txt", "/..\\outside.txt", "//etc/passwd", "/%2fetc/passwd",
               "/%252e%252e/outside.txt", "/..%00/outside.txt", "/style.css%00.html",
               "/%c0%ae%c0%ae/outside.txt")
    missing = ("/none", "/none/", "/style.css/", "/style.css/x", "/.secret", "/.git/config",
               "/.git/", "/nodefault/", "/sub/.secret", "/" + "x" * 300, "/" + "d/" * 500)
    malformed = ("/%", "/%4", "/%zz", "/a%0ab")
    with scratch() as directory:
        site, _ = make_site(directory)
        with Server("--chat", "--static", site) as s:
            for path in outside:
                for method in ((), ("--head",)):
                    r = curl(s.http + path, "--path-as-is", *method)
                    assert r.status in (400, 403, 404), (path, r.status)
                    assert b"outside" not in r.body and b"root:" not in r.body, (path, r.body)
            for path in (*outside[:6], "/link.txt", "/etc/passwd", "/pipe"):
                check_refusal(curl(s.http + path, "--path-as-is"), 404, path)
            for path in missing:
                check_refusal(curl(s.http + path, "--path-as-is"), 404, path)
            for path in malformed:
                r = curl(s.http + path, "--path-as-is")
                assert r.status in (400, 404), (path, r.status)
            same(curl(s.http + "/").body, b"<h1>front</h1>", "index.html before the chat page")


def test_static_large_file_arrives_whole_even_at_a_slow_reader():
    with scratch() as directory, open(directory + "/big.bin", "wb") as f:
        content = os.urandom(16 << 20)
        f.write(content)
        f.flush()
        with Server("--echo", "--static", directory) as s:
            start = time.monotonic()
            assert curl(s.http + "/big.bin", seconds=20).body == content
            assert time.monotonic() - start < 3
            slow = curl(s.http + "/big.bin", "--limit-rate", "6M", seconds=20)
            assert slow.body == content, f"{len(slow.body)} bytes"
            f.write(b"x")
            f.flush()
            check_refusal(curl(s.http + "/big.bin"), 404, "a byte too large")


def test_chat_page_has_a_policy_and_no_outside_address():
    with Server("--chat") as s:
        r = curl(s.http + "/")
        same(r.status, 200)
        policy = r.fields["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy, policy
        addresses = set(re.findall(rb"https?://[^\s\"'<>]+", r.body))
        same(addresses, {b"http://www.w3.org/2000/svg"}, "outside addresses: a namespace alone")
        same(curl(s.http + "/", "--head").fields, r.fields, "HEAD")
        check_refusal(curl(s.http + "/nothing"), 404, "/nothing")


def test_every_plain_request_is_logged_once():
    with Server("--echo") as s:
        curl(s.http + "/healthz")
        curl(s.http + "/none")
        curl(s.http + "/healthz", "--request", "POST")
        upgrade(s, {"Sec-WebSocket-Version": "8"})
        time.sleep(0.1)
        same(len(s.log), 4, f"lines of {s.log}")
        assert not any(ord(c) < 32 or ord(c) > 126 for line in s.log for c in line), s.log


main(__name__)
