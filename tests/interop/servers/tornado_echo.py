"""An echo server of the Python package `tornado`: PORT [CERT KEY]."""
import asyncio
import ssl
import sys

from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        return "chat" if "chat" in subprotocols else None

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


async def main(port, *certificate):
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    application = Application([("/.*", Echo)], websocket_max_message_size=32 << 20)
    server = HTTPServer(application, ssl_options=context, max_buffer_size=64 << 20)
    server.listen(int(port), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
