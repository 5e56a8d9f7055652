"""asyncio's timers: the same work. Speaks the protocol of bench/host.ts."""

import asyncio
import gc
import json
import platform
import sys
from time import perf_counter, perf_counter_ns as now, process_time

BATCH = 50_000
DURATIONS = [i + 1 for i in range(50)]


def block_until_due():
    until = perf_counter() + (DURATIONS[-1] + 2) / 1000
    while perf_counter() < until:
        pass


def do_nothing():
    pass


async def cancelled(iterations):
    loop = asyncio.get_running_loop()
    took = 0
    for _ in range(iterations // BATCH):
        start = now()
        handles = [loop.call_later(DURATIONS[i % 50], do_nothing) for i in range(BATCH)]
        for handle in handles:
            handle.cancel()
        took += now() - start
        await asyncio.sleep(0)
    return took


async def fired(iterations):
    loop = asyncio.get_running_loop()
    took = 0
    for _ in range(iterations // BATCH):
        done = loop.create_future()
        count = 0

        def fire():
            nonlocal count
            count += 1
            if count == BATCH:
                done.set_result(None)

        start = now()
        for i in range(BATCH):
            loop.call_later(DURATIONS[i % 50] / 1000, fire)
        took += now() - start
        block_until_due()
        start = now()
        await done
        took += now() - start
    return took


async def slept(iterations):
    loop = asyncio.get_running_loop()
    took = 0
    for _ in range(iterations // BATCH):
        done = loop.create_future()
        asleep = woken = 0

        async def nap(seconds):
            nonlocal asleep, woken
            asleep += 1
            await asyncio.sleep(seconds)
            woken += 1
            if woken == BATCH:
                done.set_result(None)

        start = now()
        tasks = [loop.create_task(nap(DURATIONS[i % 50] / 1000)) for i in range(BATCH)]
        while asleep < BATCH:
            await asyncio.sleep(0)
        took += now() - start
        block_until_due()
        start = now()
        await done
        took += now() - start
        await tasks[-1]
    return took


async def lateness(count):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    late = []

    def fire(due):
        late.append((perf_counter() - due) * 1000)
        if len(late) == count:
            done.set_result(None)

    before = process_time()
    for i in range(count):
        delay = (10 + (i * 7919) % 2000) / 1000
        loop.call_later(delay, fire, perf_counter() + delay)
        if i % 250 == 0:
            await asyncio.sleep(0.001)
    await done
    processor = process_time() - before
    late.sort()
    return {
        "p50Ms": late[count // 2],
        "p99Ms": late[count * 99 // 100],
        "longestMs": late[-1],
        "early": sum(ms < 0 for ms in late),
        "processorUs": processor * 1e6 / count,
    }


CASES = {"cancelled": cancelled, "fired": fired, "slept": slept}


def answer(request):
    if "size" in request:
        return {"figures": asyncio.run(lateness(request["size"]))}
    case = CASES[request["name"]]
    if "sample" not in request:
        return {"ready": True, "batch": BATCH, "versions": {"Python": platform.python_version()}}
    gc.collect()
    return {"ns": asyncio.run(case(request["sample"]))}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:
        reply = {"error": repr(error)}
    print(json.dumps(reply), flush=True)
