"""CPython in bench/sendmsg.mjs: one thread sends a message over a pair of UNIX stream sockets and receives it.

    python3 sendmsg.py <bytes> <descriptors> <reused | fresh> <milliseconds>

Receives with recvmsg_into (`reused`) or recvmsg (`fresh`). Prints nanoseconds a message.
"""

import os
import sys
from array import array
from socket import (AF_INET, AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket,
                    socketpair)
from time import monotonic_ns

LAP = 64


def close_received(ancillary):
    count = 0
    for level, kind, data in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            numbers = array("i", data)
            for number in numbers:
                os.close(number)
            count += len(numbers)
    return count


def run(sender, receiver, size, passed, fresh, nanoseconds):
    """Nanoseconds a message. A long one with descriptors takes two receives."""
    outgoing = b"x" * size
    incoming = [bytearray(size)]
    space = CMSG_SPACE(4 * len(passed)) if passed else 0
    count = 0
    start = monotonic_ns()
    while True:
        for _ in range(LAP):
            if passed:
                sent = sender.sendmsg([outgoing], [(SOL_SOCKET, SCM_RIGHTS, array("i", passed))])
            else:
                sent = sender.sendmsg([outgoing])
            if sent != size:
                raise OSError("a short sendmsg")
            received = came = 0
            while received < size:
                if fresh:
                    data, ancillary, _flags, _address = receiver.recvmsg(size, space, MSG_CMSG_CLOEXEC)
                    received += len(data)
                else:
                    got, ancillary, _flags, _address = receiver.recvmsg_into(incoming, space, MSG_CMSG_CLOEXEC)
                    received += got
                if passed:
                    came += close_received(ancillary)
            if came != len(passed):
                raise OSError("descriptors are missing")
        count += LAP
        elapsed = monotonic_ns() - start
        if elapsed >= nanoseconds:
            return elapsed / count


def main():
    size, descriptors, memory, milliseconds = sys.argv[1:]
    sender, receiver = socketpair(AF_UNIX, SOCK_STREAM)
    sender.setblocking(False)
    receiver.setblocking(False)
    carried = socket(AF_INET, SOCK_STREAM)
    fixed = (sender, receiver, int(size), [carried.fileno()] * int(descriptors), memory == "fresh")
    run(*fixed, float(milliseconds) * 5e5)
    print(f"{run(*fixed, float(milliseconds) * 1e6):.1f}")


main()
