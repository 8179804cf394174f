#!/usr/bin/env python3
"""Speaks handover's channels (docs/wire-format.md) from Python: takes connections, answers on them, hands a port over."""
import array, json, os, socket, struct, sys

HELLO, OFFER, VERDICT, CLAIMED, REFUSED = 1, 7, 9, 0, 1


def identify(sock):
    """Who a socket is: the same text in every process that has it."""
    def place(ask):
        try:
            name = ask()
        except OSError:
            return '-'  # its client has gone
        if sock.family == socket.AF_UNIX:
            return 'unix:' + os.fsencode(name).hex() if name else '-'
        return ('%s:%d' if sock.family == socket.AF_INET else '[%s]:%d') % name[:2]
    cookie = struct.unpack('Q', sock.getsockopt(socket.SOL_SOCKET, 57, 8))[0]  # SO_COOKIE
    numbers = [sock.getsockopt(socket.SOL_SOCKET, option) for option in
               (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL, socket.SO_ACCEPTCONN)]
    return 'socket %d %d %d %d %d %s %s' % (*numbers, cookie, place(sock.getsockname), place(sock.getpeername))


class Channel:
    def __init__(self, address):
        self.socket, self.bytes, self.descriptors, self.offers = socket.socket(socket.AF_UNIX), b'', [], 0
        self.socket.connect(address.replace('@', '\0', 1) if address[0] == '@' else address)
        hello = {'protocol': 'handover', 'version': 1, 'oldest': 1, 'capabilities': ['offers'], 'pid': os.getpid(),
                 'window': {'offers': 64, 'descriptors': 512, 'bytes': 1 << 24}}
        self.write(HELLO, json.dumps(hello).encode())
        self.read(HELLO)

    def write(self, kind, payload, descriptors=()):
        frame = struct.pack('<IBBH', len(payload), kind, 0, len(descriptors)) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))] if descriptors else []
        self.socket.sendall(frame[self.socket.sendmsg([frame], rights):])  # they went with the first byte

    def read(self, wanted):
        """Payload and descriptors of the next frame of a type; others are of no interest here."""
        while True:
            while len(self.bytes) < 8 or len(self.bytes) < 8 + struct.unpack_from('<I', self.bytes)[0]:
                data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
                self.descriptors += [fd for _, _, rights in control for fd in array.array('i', rights)]
                self.bytes += data or sys.exit('the other side is gone')
            length, kind, _, count = struct.unpack_from('<IBBH', self.bytes)
            payload, self.bytes = self.bytes[8:8 + length], self.bytes[8 + length:]
            descriptors, self.descriptors = self.descriptors[:count], self.descriptors[count:]
            if kind == wanted:
                return payload, descriptors

    def receive(self):
        """The next offer: its message, and (kind, socket, bytes that were read already) of each thing. Claims it."""
        payload, descriptors = self.read(OFFER)
        number, length = struct.unpack_from('<QI', payload)
        head, rest, things = json.loads(payload[12:12 + length]), payload[12 + length:], []
        for thing, fd in zip(head['things'], descriptors):
            things.append((thing['kind'], socket.socket(fileno=fd), rest[:thing.get('bytes', 0)]))
            rest = rest[thing.get('bytes', 0):]
        true = all(identify(things[i][1]) == thing['ids'][0] for i, thing in enumerate(head['things']))
        self.write(VERDICT, struct.pack('<QB', number, CLAIMED if true else REFUSED))
        return head['message'], things if true else []

    def send(self, message, kind, sock, details):
        """Hands a socket over. True once the other side has claimed it: then close it here."""
        head = {'message': message, 'things': [{'kind': kind, 'ids': [identify(sock)], 'details': details}]}
        head, self.offers = json.dumps(head).encode(), self.offers + 1
        self.write(OFFER, struct.pack('<QI', self.offers, len(head)) + head, [sock.fileno()])
        return self.read(VERDICT)[0][8] == CLAIMED


if __name__ == '__main__':
    channel = Channel(sys.argv[1])
    message, things = channel.receive()
    for _, connection, unread in things:
        connection.setblocking(True)
        connection.sendall(b'python takes over, %d bytes were read: %s\n' % (len(unread), unread))
        connection.close()
    with socket.create_server(('127.0.0.1', 0)) as port:
        print('claimed' if channel.send({'took': len(things)}, 'port', port, {}) else 'not claimed')
