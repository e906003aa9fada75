"""The library's client through real proxies: tinyproxy (CONNECT), microsocks (SOCKS 5), and HAProxy
in front of the first for CONNECT over TLS."""
import contextlib
from pathlib import Path

import client
import peers
from certs import Authority
from harness import Server, main, same, scratch, until

QUICK = ("--max-size", "65536")


@contextlib.contextmanager
def tinyproxy(directory, user=None, port=None):
    port = port or peers.free_port()
    path = Path(directory, f"tinyproxy-{port}.conf")
    path.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 30\nMaxClients 50\nLogLevel Connect\n"
                    f"Allow 127.0.0.1\nPidFile \"{directory}/tinyproxy-{port}.pid\"\n"
                    + (f"BasicAuth {user.replace(':', ' ')}\n" if user else ""))
    with peers.Program(["tinyproxy", "-d", "-c", path], [port], directory) as p:
        yield p


@contextlib.contextmanager
def microsocks(directory, user=None):
    port = peers.free_port()
    login = ["-u", user.split(":")[0], "-P", user.split(":")[1]] if user else []
    argv = ["microsocks", "-i", "127.0.0.1", "-p", port, *login]
    with peers.Program(argv, [port], directory) as p:
        yield p


@contextlib.contextmanager
def over_tls(directory, authority, proxy):
    """TLS in front of a proxy."""
    cert = authority.issue("proxy")
    port = peers.free_port()
    path = Path(directory, "front.cfg")
    path.write_text("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n"
                    f" timeout server 30s\nlisten front\n bind 127.0.0.1:{port} ssl"
                    f" crt {peers.joined(*cert)}\n server proxy 127.0.0.1:{proxy.port}\n")
    with peers.Program(["haproxy", "-db", "-f", path], [port], directory) as p:
        yield p


@contextlib.contextmanager
def servers(directory):
    """URLs of an echo server, plain and with TLS, and the authority of the second."""
    authority = Authority(directory)
    cert, key = authority.issue("localhost")
    with Server("--echo") as plain, Server("--echo", "--tls-cert", cert, "--tls-key", key) as tls:
        yield [f"ws://localhost:{plain.port}/", f"wss://localhost:{tls.port}/"], authority


def connects(proxy, url):
    """How often the proxy was asked for this URL's host and port."""
    host = url.split("/")[2]
    return sum(host in line for line in proxy.log if "CONNECT" in line or "connected" in line)


# req: 7
def test_connect_proxy_leads_to_plain_and_tls_servers():
    with scratch() as directory, servers(directory) as (urls, authority):
        with tinyproxy(directory) as proxy:
            for url in urls:
                client.works(url, "--proxy", f"http://127.0.0.1:{proxy.port}", "--cacert",
                             authority.ca, messages=18)
                until(lambda: connects(proxy, url), failure=f"{url} is not in the proxy's log")


# req: 7
# bad: 71
def test_connect_proxy_with_a_password_takes_the_right_one_alone():
    with scratch() as directory, servers(directory) as (urls, authority):
        with tinyproxy(directory, "user:pass") as proxy:
            where = f"127.0.0.1:{proxy.port}"
            for url in urls:
                options = ("--cacert", authority.ca, *QUICK)
                client.works(url, "--proxy", f"http://user:pass@{where}", *options)
                # 407 says that a login is wanted; tinyproxy answers a wrong one with 401.
                for login, status in (("", 407), ("user:wrong@", 401), ("other:pass@", 401)):
                    report = client.refused(url, client.PROXY, [str(status)], "--proxy",
                                            f"http://{login}{where}", *options)
                    same(report["http_status"], status, "status")


# req: 8
# bad: 71
def test_connect_proxy_that_cannot_reach_the_server_says_so():
    with scratch() as directory, tinyproxy(directory) as proxy:
        url = f"ws://localhost:{peers.free_port()}/"
        report = client.refused(url, client.PROXY, ["answered 5"], "--proxy",
                                f"http://127.0.0.1:{proxy.port}")
        assert 500 <= report["http_status"] < 600, report["http_status"]


# req: 9
def test_connect_over_tls_verifies_the_proxy_too():
    with scratch() as directory, servers(directory) as (urls, authority):
        with tinyproxy(directory, "user:pass") as inner, \
                over_tls(directory, authority, inner) as proxy:
            where = f"https://user:pass@localhost:{proxy.port}"
            for url in urls:
                options = ("--proxy", where, "--cacert", authority.ca)
                client.works(url, *options, "--proxy-cacert", authority.ca, messages=18)
                client.refused(url, client.TLS_VERIFY, ["certificate"], *options)
            stranger = Authority(directory, "stranger")
            client.refused(urls[1], client.TLS_VERIFY, ["certificate"], "--proxy", where,
                           "--proxy-cacert", authority.ca, "--cacert", stranger.ca)


def test_socks5_leads_to_plain_and_tls_servers():
    with scratch() as directory, servers(directory) as (urls, authority):
        with microsocks(directory) as proxy:
            for scheme in ("socks5", "socks5h"):
                for url in urls:
                    client.works(url, "--proxy", f"{scheme}://127.0.0.1:{proxy.port}", "--cacert",
                                 authority.ca, messages=18)
            until(lambda: connects(proxy, urls[1]) >= 2, failure="not in the proxy's log")


def test_socks5_with_a_password_takes_the_right_one_alone():
    with scratch() as directory, servers(directory) as (urls, authority):
        with microsocks(directory, "user:pass") as proxy:
            where = f"127.0.0.1:{proxy.port}"
            for url in urls:
                options = ("--cacert", authority.ca, *QUICK)
                client.works(url, "--proxy", f"socks5://user:pass@{where}", *options)
                client.refused(url, client.PROXY, ["user and password"], "--proxy",
                               f"socks5://user:wrong@{where}", *options)
                client.refused(url, client.PROXY, ["the proxy wants"], "--proxy",
                               f"socks5://{where}", *options)


# req: 8
# bad: 71
def test_socks5_that_cannot_reach_the_server_says_so():
    with scratch() as directory, microsocks(directory) as proxy:
        url = f"ws://127.0.0.1:{peers.free_port()}/"
        client.refused(url, client.PROXY, ["refused"], "--proxy",
                       f"socks5://127.0.0.1:{proxy.port}")


# req: 8
def test_proxy_that_is_not_there_or_is_no_proxy_fails_clearly():
    with Server("--echo") as s:
        url = f"ws://localhost:{s.port}/"
        client.refused(url, client.CONNECT, ["refused"], "--proxy",
                       f"http://127.0.0.1:{peers.free_port()}")
        client.refused(url, client.PROXY, ["40"], "--proxy", f"http://127.0.0.1:{s.port}")
        client.refused(url, client.PROXY, ["SOCKS"], "--proxy", f"socks5://127.0.0.1:{s.port}")
        client.refused(url, client.TLS, [], "--proxy", f"https://127.0.0.1:{s.port}")


def test_client_returns_through_a_proxy_that_is_restarted():
    rounds = 8
    with scratch() as directory, Server("--echo") as s:
        port = peers.free_port()
        options = ("--proxy", f"http://127.0.0.1:{port}", "--rounds", rounds, "--retry-ms", "5:20")
        with client.Staying(s.url, *options) as c:
            for i in range(1, rounds + 1):
                with tinyproxy(directory, port=port):
                    c.wait_line(f"round {i} ")
                    if i == rounds:
                        report = c.report()
        assert report["ok"], client.told(report)
        same((report["opened"], report["messages"]), (rounds, 5 * rounds), "opened, messages")


def test_environment_names_the_proxy_and_the_exceptions():
    with scratch() as directory, servers(directory) as (urls, authority):
        with tinyproxy(directory) as proxy:
            where = f"http://127.0.0.1:{proxy.port}"
            count = 0
            for url, env, through in (
                (urls[0], {"http_proxy": where}, True), (urls[1], {"https_proxy": where}, True),
                (urls[1], {"wss_proxy": where, "https_proxy": "http://127.0.0.1:1"}, True),
                (urls[0], {"ALL_PROXY": where}, True), (urls[0], {"HTTP_PROXY": where}, False),
                (urls[0], {"https_proxy": where}, False), (urls[1], {"http_proxy": where}, False),
                (urls[1], {"https_proxy": where, "no_proxy": "localhost"}, False),
                (urls[1], {"https_proxy": where, "no_proxy": "example.com"}, True),
                (urls[0], {"all_proxy": where, "NO_PROXY": "*"}, False), (urls[0], {}, False),
            ):
                client.works(url, "--proxy-env", "--cacert", authority.ca, *QUICK, env=env)
                count += through
                until(lambda: len(asked(proxy)) >= count, failure=f"{env}: not through the proxy")
                same(len(asked(proxy)), count, f"requests to the proxy with {env}")
            client.works(urls[0], *QUICK, env={"http_proxy": "http://127.0.0.1:1"})


def asked(proxy):
    return [line for line in proxy.log if "CONNECT localhost" in line]


main(__name__)
