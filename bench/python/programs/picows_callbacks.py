"""picows with its listeners, the fastest way that its documentation shows."""

import picows
import program

OPTIONS = {"max_frame_size": 1 << 30, "websocket_handshake_timeout": 60}
MESSAGES = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)


class Receive(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        payload_of(frame)


class Echo(picows.WSListener):
    """For a server and, after the first message, for a client."""

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
            return
        transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcast(picows.WSListener):
    everybody = []

    def on_ws_connected(self, transport):
        self.everybody.append(transport)

    def on_ws_disconnected(self, transport):
        self.everybody.remove(transport)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type not in MESSAGES:
            return
        message = frame.get_payload_as_bytes()
        for other in self.everybody:
            other.send(frame.msg_type, message)


def payload_of(frame):
    """The message, as an application would take it."""
    if frame.msg_type == picows.WSMsgType.TEXT:
        return frame.get_payload_as_utf8_text()
    return frame.get_payload_as_bytes()


LISTENERS = {"echo": Echo, "receive": Receive, "broadcast": Broadcast}


async def serve(arguments):
    listener = LISTENERS[arguments.what]
    server = await picows.ws_create_server(
        lambda request: listener(), "127.0.0.1", arguments.port, backlog=4096, **OPTIONS
    )
    await program.until_stopped(arguments.port)
    server.close()


async def connect(arguments):
    transport, _ = await picows.ws_connect(LISTENERS[arguments.what], arguments.url, **OPTIONS)
    if arguments.what == "echo":
        kind = picows.WSMsgType.TEXT if arguments.text else picows.WSMsgType.BINARY
        message = program.payload(arguments)
        transport.send(kind, message.encode() if arguments.text else message)
    await transport.wait_disconnected()


def main():
    arguments = program.parse(__doc__)
    program.run((connect if arguments.url else serve)(arguments), arguments.loop)


main()
