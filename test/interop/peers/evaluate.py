"""The other side of an interop test: runs the Python that the test writes to standard input, one JSON object a line.

{"code": ..., "names": {...}} is answered with {"value": ...}, that of the last expression, or with
{"error": the exception's type, "code": the name of its errno, "message": ...}. Bytes are text, one character a byte.
Descriptor 3, if there is one, is `channel`, a socket that waits ten seconds at most.
"""

import array
import ast
import errno
import json
import os
import socket
import struct
import sys
import textwrap

SECONDS = 10


def plain(value):
    """What JSON has no form for: bytes of any kind."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("latin-1")
    raise TypeError(f"no plain form of {value!r}")


def answer(line, names):
    """Runs one line, and gives the line to answer."""
    request = json.loads(line)
    names.update(request["names"])
    try:
        tree = ast.parse(textwrap.dedent(request["code"]))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<test>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<test>", "eval"), names)
        return json.dumps({"value": value}, default=plain)
    except Exception as error:
        code = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
        return json.dumps({"error": type(error).__name__, "code": code, "message": str(error)})


def rights(descriptors):
    """One control message with descriptors."""
    return (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))


def descriptors_in(ancillary):
    """All descriptors among received control messages."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()


def identity(descriptor):
    """Which file a descriptor leads to."""
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def open_count():
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def namespace():
    """The names that a test's code starts with."""
    modules = {"array": array, "errno": errno, "os": os, "socket": socket, "struct": struct}
    helpers = [rights, descriptors_in, identity, open_count]
    return {**modules, **{helper.__name__: helper for helper in helpers}}


def main():
    names = namespace()
    if len(sys.argv) > 1 and sys.argv[1] == "channel":
        names["channel"] = socket.socket(fileno=3)
        names["channel"].settimeout(SECONDS)
    for line in sys.stdin:
        print(answer(line, names), flush=True)


if __name__ == "__main__":
    main()
