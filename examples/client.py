#!/usr/bin/env python3
"""Speaks handover's channels (docs/wire-format.md) from Python: takes connections, answers on them, hands a port over."""
import array, collections, json, os, socket, struct, sys

HELLO, OFFER, PART, VERDICT, WITHDRAW, CLAIMED, REFUSED, RETURNED = 1, 7, 8, 9, 10, 0, 1, 2
TYPES = {8: 'regular', 4: 'directory', 1: 'fifo', 2: 'character', 6: 'block', 10: 'link', 12: 'socket'}
# Descriptors are sockets, or numbers for all else; `unread` is what was read of the thing already, to be used first.
Thing = collections.namedtuple('Thing', 'kind descriptors details unread', defaults=({}, b''))


def type_of(fd):
    return TYPES.get(os.fstat(fd).st_mode >> 12, 'other')


def identify(fd):
    """Who a descriptor is: the same text in every process that has it."""
    if type_of(fd) != 'socket':
        return 'file %d %d %s' % (os.fstat(fd).st_dev, os.fstat(fd).st_ino, type_of(fd))
    with socket.socket(fileno=os.dup(fd)) as sock:
        def place(ask):
            try:
                name = ask()
            except OSError:
                return '-'  # its client has gone
            if sock.family == socket.AF_UNIX:
                return 'unix:' + os.fsencode(name).hex() if name else '-'
            return ('%s:%d' if sock.family == socket.AF_INET else '[%s]:%d') % name[:2]
        options = (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL, socket.SO_ACCEPTCONN)
        numbers = [sock.getsockopt(socket.SOL_SOCKET, option) for option in options]
        cookie = struct.unpack('Q', sock.getsockopt(socket.SOL_SOCKET, 57, 8))[0]  # SO_COOKIE
        return 'socket %d %d %d %d %d %s %s' % (*numbers, cookie, place(sock.getsockname), place(sock.getpeername))


def same(announced, found):
    one, other = announced.split(), found.split()  # an address may be `-`: not known any more
    return one[:6] == other[:6] and all(a == b or '-' in (a, b) for a, b in zip(one[6:], other[6:]))


class NotClaimed(Exception):
    """The other side did not take what was offered, which is ours as before; why not."""


class Channel:
    """Any call raises ConnectionError when the other side is gone. Withdrawals are answered while a call waits here."""
    def __init__(self, address=None):
        """Connects to one who listens; without an address it is the channel that this program was started with."""
        if address is None:
            self.socket = socket.socket(fileno=int(os.environ.pop('HANDOVER_CHANNEL')))
            self.socket.setblocking(True)  # it comes non-blocking
            self.socket.set_inheritable(False)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect('\0' + address[1:] if address[0] == '@' else address)
        self.bytes, self.fds, self.parts, self.offers, self.sent = b'', [], b'', {}, 0
        hello = {'protocol': 'handover', 'version': 1, 'oldest': 1, 'capabilities': ['offers'], 'pid': os.getpid(),
                 'window': {'offers': 64, 'descriptors': 512, 'bytes': 1 << 24}}
        self.write(HELLO, json.dumps(hello).encode())
        self.read()  # their hello

    def write(self, kind, payload, fds=()):
        frame = struct.pack('<IBBH', len(payload), kind, 0, len(fds)) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        rest = frame[self.socket.sendmsg([frame], rights):]  # they went with the first byte
        if rest:  # else all is said, and what the other side does from now on is no failure of this
            self.socket.sendall(rest)

    def read(self):
        """Type and payload of the next frame. Offers, which come at any time, are queued."""
        while len(self.bytes) < 8 or len(self.bytes) < 8 + struct.unpack_from('<I', self.bytes)[0]:
            data, control, flags, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
            self.fds += [fd for _, _, rights in control for fd in array.array('i', rights)]
            if not data or flags & socket.MSG_CTRUNC:
                self.close()
                raise ConnectionError('no room for more descriptors' if data else 'the other side is gone')
            self.bytes += data
        length, kind, _, count = struct.unpack_from('<IBBH', self.bytes)
        payload, self.bytes = self.bytes[8:8 + length], self.bytes[8 + length:]
        fds, self.fds = self.fds[:count], self.fds[count:]
        if kind == PART:
            self.parts += payload
        elif kind == OFFER:
            payload, self.parts = self.parts + payload, b''
            number, size = struct.unpack_from('<QI', payload)
            self.offers[number] = json.loads(payload[12:12 + size]), payload[12 + size:], fds
        elif kind == WITHDRAW and struct.unpack('<Q', payload)[0] in self.offers:
            self.give_back(struct.unpack('<Q', payload)[0], RETURNED, b'as asked')
        return kind, payload

    def give_back(self, number, outcome, reason):
        for fd in self.offers.pop(number)[2]:
            os.close(fd)
        try:
            self.write(VERDICT, struct.pack('<QB', number, outcome) + reason)
        except ConnectionError:
            pass  # what the other side wrote before its end is read all the same

    def receive(self):
        """The next offer: its message and its things, which are ours from now on."""
        while True:
            while not self.offers:
                self.read()
            number, (head, rest, fds) = next(iter(self.offers.items()))
            ids = [one for thing in head['things'] for one in thing['ids']]
            if len(ids) == len(fds) and all(map(same, ids, map(identify, fds))):
                break
            self.give_back(number, REFUSED, b'what came is not what was announced')
        self.write(VERDICT, struct.pack('<QB', number, CLAIMED))
        del self.offers[number]
        things = []
        for thing in head['things']:
            own, fds = fds[:len(thing['ids'])], fds[len(thing['ids']):]
            own = [socket.socket(fileno=fd) if type_of(fd) == 'socket' else fd for fd in own]
            things.append(Thing(thing['kind'], own, thing.get('details'), rest[:thing.get('bytes', 0)]))
            rest = rest[thing.get('bytes', 0):]
        return head.get('message'), things

    def send(self, message, things=()):
        """Hands things over; when it returns, the other side has them: close them here then."""
        fds = [[fd if isinstance(fd, int) else fd.fileno() for fd in thing.descriptors] for thing in things]
        heads = [{'kind': thing.kind, 'ids': [*map(identify, own)], 'details': thing.details, 'bytes': len(thing.unread)}
                 for thing, own in zip(things, fds)]
        head, number, self.sent = json.dumps({'message': message, 'things': heads}).encode(), self.sent, self.sent + 1
        payload = struct.pack('<QI', number, len(head)) + head + b''.join(thing.unread for thing in things)
        while len(payload) > 65536:
            self.write(PART, payload[:65536])
            payload = payload[65536:]
        self.write(OFFER, payload, sum(fds, []))
        kind, answer = self.read()
        while kind != VERDICT:
            kind, answer = self.read()
        if answer[8] != CLAIMED:
            raise NotClaimed(answer[9:].decode())

    def close(self):
        """Ends the channel: what was not received stays with the other side."""
        self.socket.close()
        for fd in self.fds + [fd for _, _, fds in self.offers.values() for fd in fds]:
            os.close(fd)
        self.fds, self.offers = [], {}


if __name__ == '__main__':
    channel = Channel(*sys.argv[1:])
    message, things = channel.receive()
    for connection, unread in [(thing.descriptors[0], thing.unread) for thing in things]:
        connection.setblocking(True)  # nobody else has it; of a port that others share, the mode is theirs too
        connection.sendall(b'python takes over, %d bytes were read: %s\n' % (len(unread), unread))
        connection.close()
    with socket.create_server(('127.0.0.1', 0)) as port:
        channel.send({'took': len(things)}, [Thing('port', [port])])
    print('claimed')
