"""wss: contexts of the ssl module, libws.TLS, and what happens when trust is missing."""

import asyncio
import ssl

import libws
import pytest
import support
from libws.asyncio.client import connect
from support import serving


async def echo_over(url, **options):
    async with connect(url, **options) as client:
        await client.send("secret")
        assert await client.recv() == "secret"


async def test_ssl_contexts_on_both_sides(authority, server_context):
    async with serving(ssl=server_context) as (_, url):
        await echo_over(url, ssl=authority.context())


async def test_libws_tls_on_both_sides():
    tls = libws.TLS.self_signed("127.0.0.1")
    async with serving(ssl=tls) as (_, url):
        await echo_over(url, ssl=libws.TLS(ca_pem=tls.certificate))


async def test_one_context_serves_many_connections(authority, server_context):
    context = authority.context()
    async with serving(ssl=server_context) as (_, url):
        await asyncio.gather(*(echo_over(url, ssl=context) for _ in range(5)))


@pytest.mark.parametrize("options", [{}, {"ssl": True}])
async def test_certificate_that_nobody_vouches_for_is_refused(server_context, options):
    async with serving(ssl=server_context) as (_, url):
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(url, **options)


async def test_certificate_for_another_name_is_refused(authority, server_context):
    async with serving(ssl=server_context) as (_, url):
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(url, ssl=authority.context(), server_hostname="example.com")


async def test_server_hostname_is_the_name_that_is_checked(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("other", ("DNS:other.example",)))
    async with serving(ssl=context) as (_, url):
        await echo_over(url, ssl=authority.context(), server_hostname="other.example")


async def test_context_that_does_not_verify_is_honoured(server_context):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with serving(ssl=server_context) as (_, url):
        await echo_over(url, ssl=context)


async def test_context_that_asks_for_a_client_certificate_is_honoured(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("strict"))
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    ours = authority.context()
    ours.load_cert_chain(*authority.issue("client", purpose="clientAuth"))
    async with serving(ssl=context) as (_, url):
        await echo_over(url, ssl=ours)
        with pytest.raises((OSError, libws.InvalidHandshake)):
            await echo_over(url, ssl=authority.context())


async def test_plain_server_behind_wss_is_ssl_error():
    async def script(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with support.scripted_server(script) as url:
        with pytest.raises(ssl.SSLError):
            await connect(url.replace("ws:", "wss:"), ssl=libws.TLS())


async def test_what_is_no_context_is_refused():
    with pytest.raises(TypeError, match="ssl"):
        connect("wss://localhost/", ssl="yes")
