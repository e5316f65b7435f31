# SPDX-License-Identifier: GPL-2.0
"""A producer and consumers of POSIX shared memory, without a word of mshare.

	posixshm.py produce NAME MIB CONSUMERS
	posixshm.py consume NAME NUMBER

The producer executes the consumers. Each one, and the children that it forks,
checks all of the memory, and leaves its result there. What is printed is the
same whoever gives the memory; standard error has what /proc says of it.
"""
import os
import subprocess
import sys
import zlib
from multiprocessing import resource_tracker, shared_memory

CHILDREN = 4
HEAD = 4096


def mapped():
    """What the large shared memory of this process is, and its page tables."""
    window = False
    with open("/proc/self/maps", encoding="ascii") as maps:
        window = any(" /sys/fs/mshare/" in line for line in maps)
    with open("/proc/self/status", encoding="ascii") as status:
        tables = next(int(line.split()[1]) for line in status if line.startswith("VmPTE"))
    return f"{'window' if window else 'plain'} {tables}"


def pattern(size):
    block = bytes(range(251)) * 4176
    return (block * (size // len(block) + 1))[:size]


def consume(name, number):
    memory = shared_memory.SharedMemory(name)
    # It is the producer's, which removes it.
    resource_tracker.unregister(memory._name, "shared_memory")
    for child in range(CHILDREN):
        if os.fork() == 0:
            crc = zlib.crc32(memory.buf[HEAD:])
            slot = 16 + 4 * (number * CHILDREN + child)
            memory.buf[slot:slot + 4] = crc.to_bytes(4, "little")
            sys.stderr.write(mapped() + "\n")
            sys.stderr.flush()
            os._exit(0)
    failed = [status for _, status in (os.wait() for _ in range(CHILDREN)) if status]
    memory.close()
    return len(failed)


def produce(name, size, consumers):
    memory = shared_memory.SharedMemory(name, create=True, size=size)
    memory.buf[HEAD:size] = pattern(size - HEAD)
    print("memory", zlib.crc32(memory.buf[HEAD:size]))
    running = [subprocess.Popen([sys.executable, "-S", __file__, "consume", name, str(i)])
               for i in range(consumers)]
    print("status", [process.wait() for process in running])
    for slot in range(consumers * CHILDREN):
        at = 16 + 4 * slot
        print("consumer", slot, int.from_bytes(memory.buf[at:at + 4], "little"))
    sys.stderr.write(mapped() + "\n")
    memory.close()
    memory.unlink()
    return 0


if sys.argv[1] == "produce":
    sys.exit(produce(sys.argv[2], int(sys.argv[3]) << 20, int(sys.argv[4])))
sys.exit(consume(sys.argv[2], int(sys.argv[3])))
