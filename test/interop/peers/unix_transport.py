"""A Twisted reactor with one UNIX connection, as the other side of an interop test.

Standard input is as in evaluate.py. The connection is descriptor 3 (`channel`), or one that the test makes with
`reactor` and `factory`. Unasked it tells, as {"event": ...}: ["made"], ["descriptor", identity, number], ["data", text],
["lost", the exception's type], ["log", text]. `transport` is the connection.
"""

import json
import socket
import sys

from twisted.internet import reactor
from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver
from twisted.python import log
from zope.interface import implementer

from evaluate import answer, namespace

names = namespace()


class Control(LineReceiver):
    """Standard input and output."""

    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def lineReceived(self, line):
        self.sendLine(answer(line, names).encode())

    def tell(self, *event):
        self.sendLine(json.dumps({"event": event}).encode())

    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


control = Control()


class Unwilling(Protocol):
    """Takes bytes alone."""

    def connectionMade(self):
        names["transport"] = self.transport
        control.tell("made")

    def dataReceived(self, data):
        control.tell("data", data.decode("latin-1"))

    def connectionLost(self, reason):
        control.tell("lost", reason.type.__name__)


@implementer(IFileDescriptorReceiver)
class Willing(Unwilling):
    """Takes descriptors too, and keeps them open."""

    def fileDescriptorReceived(self, descriptor):
        control.tell("descriptor", names["identity"](descriptor), descriptor)


def observe(event):
    if not event["isError"] and event.get("format"):
        control.tell("log", log.textFromEventDict(event))


factory = Factory.forProtocol(Willing)
factory.noisy = False
names.update(reactor=reactor, factory=factory, Unwilling=Unwilling, observe=lambda: log.addObserver(observe))
StandardIO(control)
if sys.argv[1:] == ["channel"]:
    channel = socket.socket(fileno=3)

    def adopt():
        reactor.adoptStreamConnection(channel.fileno(), socket.AF_UNIX, factory)
        channel.close()

    names.update(channel=channel, adopt=adopt)
reactor.run()
