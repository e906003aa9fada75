"""Against the `websockets` library, both ways round."""

import asyncio

import pytest
import support
from libws import ConnectionClosedOK
from libws.asyncio.client import connect
from libws.asyncio.server import basic_auth
from support import serving

theirs_client = pytest.importorskip("websockets.asyncio.client")
theirs_server = pytest.importorskip("websockets.asyncio.server")

MESSAGES = ["", "caf\u00e9", b"\0\1", "a" * 5000, b"z" * 200_000, ["part ", "by ", "part"]]


def whole(message):
    return "".join(message) if isinstance(message, list) else message


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_our_client_and_their_server(compression):
    async with theirs_server.serve(support.echo, "127.0.0.1", 0, compression=compression) as server:
        async with connect(support.url_of(server)) as client:
            for message in MESSAGES:
                await client.send(message)
                assert await client.recv() == whole(message)
            assert await (await client.ping()) > 0
            await client.close(1000, "done")
            assert client.close_code == 1000


@pytest.mark.parametrize("compression", ["deflate", "dedicated", None])
async def test_their_client_and_our_server(compression):
    async with serving(compression=compression) as (_, url):
        async with theirs_client.connect(url) as client:
            for message in MESSAGES:
                await client.send(message)
                assert await client.recv() == whole(message)
            await (await client.ping())


async def test_their_exceptions_and_ours_tell_the_same():
    async def closing(connection):
        await connection.close(1001, "moving")

    async with serving(closing) as (_, url):
        told = []
        for open_one in (connect, theirs_client.connect):
            async with open_one(url) as client:
                with pytest.raises(Exception, match="1001") as caught:
                    await client.recv()
                error = caught.value
                told.append(
                    (type(error).__name__, error.rcvd.code, error.rcvd.reason)
                    + (error.sent.code, error.sent.reason, error.rcvd_then_sent)
                    + (client.close_code, client.close_reason)
                )
        assert told[0] == told[1]
        assert told[0][0] == ConnectionClosedOK.__name__


async def test_their_client_authorizes_with_our_server():
    auth = basic_auth("realm", credentials=("me", "secret"))
    async with serving(process_request=auth) as (_, url):
        async with theirs_client.connect(url.replace("://", "://me:secret@")):
            pass
        with pytest.raises(Exception, match="401"):
            await theirs_client.connect(url)


async def test_their_client_streams_what_ours_sends_in_fragments():
    async def pieces(connection):
        async def later():
            for piece in "abc":
                yield piece
                await asyncio.sleep(0)

        await connection.send(later())

    async with serving(pieces) as (_, url), theirs_client.connect(url) as client:
        got = [piece async for piece in client.recv_streaming()]
        assert "".join(got) == "abc"
        assert len(got) >= 3
