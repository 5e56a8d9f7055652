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


async def queue_pairs(iterations, size):
    queue = asyncio.Queue(size)

    async def produce():
        for i in range(iterations):
            await queue.put(i)

    expected = 0
    start = now()
    producer = asyncio.create_task(produce())
    for _ in range(iterations):
        if await queue.get() == expected:
            expected += 1
    took = now() - start
    await producer
    assert expected == iterations
    return took


async def lock_handed_over(iterations):
    lock = asyncio.Lock()
    takers = 10
    held = 0

    async def take():
        nonlocal held
        for _ in range(iterations // takers):
            await lock.acquire()
            held += 1
            lock.release()

    await lock.acquire()
    tasks = [asyncio.create_task(take()) for _ in range(takers)]
    await asyncio.sleep(0)
    start = now()
    lock.release()
    for task in tasks:
        await task
    took = now() - start
    assert held == iterations // takers * takers
    return took


CASES = {
    "call": call,
    "pass": one_pass,
    "task": task,
    "timeoutReady": lambda n: bounded(n, child),
    "timeoutGivesWay": lambda n: bounded(n, gives_way),
    "queueOfTen": lambda n: queue_pairs(n, 10),
    "queueOfOne": lambda n: queue_pairs(n, 1),
    "lockHandedOver": lock_handed_over,
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
