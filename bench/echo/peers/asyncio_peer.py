"""asyncio streams: the same echo server. Speaks the protocol of bench/host.ts; as a server it answers two requests, the
first with its port, later ones with its memory."""

import asyncio
import gc
import json
import platform
import sys


async def echo(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def resident_bytes():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def requests():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def main():
    server = None
    async for request in requests():
        if "memory" in request:
            reply = {"figures": {"residentBytes": resident_bytes()}}
        else:
            server = server or await asyncio.start_server(echo, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            reply = {"port": port, "versions": {"Python": platform.python_version()}}
        print(json.dumps(reply), flush=True)


asyncio.run(main())
