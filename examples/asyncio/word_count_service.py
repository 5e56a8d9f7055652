"""Counts words: send some lines and an empty one, and get back how many words they have.

python3 examples/asyncio/word_count_service.py --port 8890
"""

import argparse
import asyncio
import sys

IDLE_SECONDS = 5
REPORT_SECONDS = 1
GRACE_SECONDS = 2


class Totals:
    texts = 0
    words = 0

    def __str__(self):
        return f"{self.texts} texts, {self.words} words"


async def read_text(reader):
    """The lines up to an empty one; None if there is nothing more."""
    lines = []
    while line := await reader.readline():
        line = line.decode(errors="replace").strip()
        if not line:
            return lines
        lines.append(line)
    return lines or None


async def count_words(reader, writer, totals):
    try:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                lines = await read_text(reader)
            if lines is None:
                break
            words = sum(len(line.split()) for line in lines)
            totals.texts += 1
            totals.words += words
            writer.write(f"{len(lines)} lines, {words} words\n".encode())
            await writer.drain()
    except TimeoutError:
        writer.write(f"{IDLE_SECONDS} s are over, goodbye\n".encode())
    except ValueError:
        writer.write(b"a line is too long, goodbye\n")
    except ConnectionError as error:
        print(f"a client is gone: {error}", flush=True)
    finally:
        writer.close()


async def report(totals):
    last = ""
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        now = str(totals)
        if now != last:
            print(f"{now} so far", flush=True)
        last = now


async def main(host, port):
    totals = Totals()
    clients = set()

    async def serve_client(reader, writer):
        task = asyncio.current_task()
        clients.add(task)
        try:
            await count_words(reader, writer, totals)
        except asyncio.CancelledError:
            pass  # the service stops; asyncio would log it
        finally:
            clients.discard(task)

    server = await asyncio.start_server(serve_client, host, port)
    reporter = asyncio.create_task(report(totals))
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    try:
        await asyncio.Future()  # until Ctrl-C cancels this task
    finally:
        server.close()
        if clients:
            await asyncio.wait(clients, timeout=GRACE_SECONDS)
        for task in clients:
            task.cancel()
        reporter.cancel()
        print(f"{totals} in all", flush=True)


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8890)
arguments = parser.parse_args()
try:
    asyncio.run(main(arguments.host, arguments.port))
except KeyboardInterrupt:
    sys.exit(130)
except OSError as error:
    sys.exit(f"word_count_service: {error}")
