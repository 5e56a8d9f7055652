"""asyncio: the same small programs. Speaks the protocol of bench/host.ts: a line of JSON asks for a sample,
a line of JSON answers with its nanoseconds."""

import asyncio
import gc
import json
import platform
import sys
from time import perf_counter_ns as now


async def add(n):
    return n + 1


async def child():
    return 1


async def gives_way():
    await asyncio.sleep(0)
    return 1


async def call(iterations):
    x = 0
    start = now()
    for _ in range(iterations):
        x = await add(x)
    took = now() - start
    assert x == iterations
    return took


async def one_pass(iterations):
    start = now()
    for _ in range(iterations):
        await asyncio.sleep(0)
    return now() - start


async def task(iterations):
    ended = 0
    start = now()
    for _ in range(iterations):
        ended += await asyncio.create_task(child())
    took = now() - start
    assert ended == iterations
    return took


async def bounded(iterations, body):
    total = 0
    start = now()
    for _ in range(iterations):
        async with asyncio.timeout(1):
            total += await body()
    took = now() - start
    assert total == iterations
    return took


CASES = {
    "call": call,
    "pass": one_pass,
    "task": task,
    "timeoutReady": lambda n: bounded(n, child),
    "timeoutGivesWay": lambda n: bounded(n, gives_way),
}


def answer(request):
    case = CASES[request["name"]]
    if "sample" not in request:
        return {"ready": True, "batch": 1, "versions": {"Python": platform.python_version()}}
    gc.collect()
    return {"ns": asyncio.run(case(request["sample"]))}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:
        reply = {"error": repr(error)}
    print(json.dumps(reply), flush=True)
