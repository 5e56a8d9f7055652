"""Echo servers of Python: asyncio's streams, uvloop, Twisted and trio. All send small writes at once (TCP_NODELAY).

Speaks the protocol of bench/host.ts. The first request names the server, which is answered with its port; later ones are
answered with the memory of the process, by a thread that otherwise sleeps."""

import gc
import json
import os
import platform
import socket
import sys
import threading


def listening():
    """Bound here, so that the port is known whoever accepts."""
    # asyncio sends small writes at once only where the protocol is told.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(511)
    listener.setblocking(False)
    return listener


# asyncio, uvloop and trio set TCP_NODELAY by themselves.


async def stream_lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve_streams(listener, started):
    import asyncio

    server = await asyncio.start_server(stream_lines, sock=listener)
    started()
    await server.serve_forever()


def asyncio_streams(listener, started):
    import asyncio

    asyncio.run(serve_streams(listener, started))


def uvloop_streams(listener, started):
    import uvloop

    uvloop.new_event_loop().run_until_complete(
        serve_streams(listener, lambda: started(uvloop=uvloop.__version__))
    )


def uvloop_protocol(listener, started):
    """Chunks go back as they come."""
    import asyncio

    import uvloop

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

        def pause_writing(self):
            self.transport.pause_reading()

        def resume_writing(self):
            self.transport.resume_reading()

    async def serve():
        server = await asyncio.get_running_loop().create_server(Echo, sock=listener)
        started(uvloop=uvloop.__version__)
        await server.serve_forever()

    uvloop.new_event_loop().run_until_complete(serve())


def twisted_lines(listener, started):
    import twisted
    from twisted.internet import protocol, reactor
    from twisted.protocols.basic import LineReceiver

    class Echo(LineReceiver):
        delimiter = b"\n"

        def connectionMade(self):
            self.transport.setTcpNoDelay(True)

        def lineReceived(self, line):
            self.sendLine(line)

    reactor.adoptStreamPort(
        listener.fileno(), socket.AF_INET, protocol.Factory.forProtocol(Echo)
    )
    reactor.callWhenRunning(lambda: started(Twisted=twisted.__version__))
    reactor.run(installSignalHandlers=False)


def trio_lines(listener, started):
    import trio

    async def echo(stream):
        # A stream of trio gives chunks; the lines are found here.
        buffer = bytearray()
        async with stream:
            try:
                while chunk := await stream.receive_some(65536):
                    buffer += chunk
                    start = 0
                    while (end := buffer.find(b"\n", start)) >= 0:
                        await stream.send_all(buffer[start : end + 1])
                        start = end + 1
                    del buffer[:start]
            except trio.BrokenResourceError:
                pass

    async def serve():
        started(trio=trio.__version__)
        own = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        await trio.serve_listeners(echo, [own])

    trio.run(serve)


def resident_bytes():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answer(reply):
    print(json.dumps(reply), flush=True)


def answer_the_rest():
    for line in sys.stdin:
        if "memory" in json.loads(line):
            answer({"figures": {"residentBytes": resident_bytes()}})
    os._exit(0)


def main():
    listener = listening()

    def started(**versions):
        threading.Thread(target=answer_the_rest, daemon=True).start()
        # Not all need run on the same Python.
        python = platform.python_version()
        told = {name: f"{version} on Python {python}" for name, version in versions.items()}
        answer({"port": listener.getsockname()[1], "versions": told or {"Python": python}})

    name = json.loads(sys.stdin.readline())["name"]
    servers = [
        asyncio_streams,
        uvloop_streams,
        uvloop_protocol,
        twisted_lines,
        trio_lines,
    ]
    try:
        {server.__name__: server for server in servers}[name](listener, started)
    except ImportError as error:
        answer({"missing": str(error)})


main()
