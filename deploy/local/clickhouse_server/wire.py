"""Integers and strings of the native protocol, read from a bounded buffer and written as bytes.

A reader's position may run ahead of what has arrived; `require` waits for the bytes up to a position.
Every read checks `limit` first, so a hostile length costs no memory.
"""

import socket
import struct

from deploy.local.clickhouse_server.faults import ConnectionEnded, ProtocolViolation

RECEIVE_BYTES = 1 << 18
SHORT_STRING_BYTES = 1 << 16
VARINT_BITS = 63


class Reader:
    """Reads from bytes that are all there; `limit` is the most bytes one packet may have."""

    def __init__(self, data: bytes | bytearray = b"", limit: int = 1 << 30) -> None:
        self.buffer = bytearray(data)
        self.position = 0
        self.limit = limit

    def receive(self) -> None:
        """Append at least one byte to the buffer, or raise."""
        raise ProtocolViolation("The data ends in the middle of a value.")

    def require(self, end: int) -> None:
        """Wait until the buffer reaches `end`. Raises ProtocolViolation past the limit."""
        if end > self.limit:
            raise ProtocolViolation(f"A packet may have {self.limit} bytes; this one wants more.")
        while len(self.buffer) < end:
            self.receive()

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; they need not have arrived yet."""
        self.position += count
        if self.position > self.limit:
            raise ProtocolViolation(f"A packet may have {self.limit} bytes; this one wants more.")

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start, end = self.position, self.position + count
        self.require(end)
        self.position = end
        return bytes(self.buffer[start:end])

    def byte(self) -> int:
        """The next byte as UInt8."""
        self.require(self.position + 1)
        self.position += 1
        return self.buffer[self.position - 1]

    def varint(self) -> int:
        """The next variable-length unsigned integer, below 2^63."""
        value = 0
        for shift in range(0, VARINT_BITS, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ProtocolViolation("An integer has more than 63 bits.")

    def uint64(self) -> int:
        """The next UInt64, little-endian."""
        return int(struct.unpack("<Q", self.take(8))[0])

    def string(self, most: int = SHORT_STRING_BYTES) -> str:
        """The next length-prefixed UTF-8 string of at most `most` bytes."""
        length = self.varint()
        if length > most:
            raise ProtocolViolation(f"A string of {length} bytes came where at most {most} are allowed.")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise ProtocolViolation("A string is not UTF-8.") from None

    def skip_strings(self, count: int) -> None:
        """Pass over `count` length-prefixed strings; the hot loop of an insert."""
        buffer, position, have = self.buffer, self.position, len(self.buffer)
        for _ in range(count):
            if position >= have:
                self.require(position + 1)
                have = len(buffer)
            length = buffer[position]
            if length < 0x80:
                position += length + 1
            else:
                self.position = position
                length = self.varint()
                have = len(buffer)
                self.skip(length)
                position = self.position
        self.position = position

    def since(self, start: int) -> bytes:
        """Everything from `start` up to the position."""
        self.require(self.position)
        return bytes(memoryview(self.buffer)[start : self.position])


class SocketReader(Reader):
    """Reads from a socket; `begin` drops what has been consumed."""

    def __init__(self, peer: socket.socket, limit: int) -> None:
        super().__init__(limit=limit)
        self._peer = peer

    def receive(self) -> None:
        """Wait for bytes. Raises ConnectionEnded at the end, on a reset or a time-out."""
        try:
            data = self._peer.recv(RECEIVE_BYTES)
        except OSError as error:
            raise ConnectionEnded(str(error)) from error
        if not data:
            raise ConnectionEnded("The client has gone.")
        self.buffer += data

    def begin(self) -> None:
        """Start a new packet: what was read so far is dropped and the limit counts anew."""
        del self.buffer[: self.position]
        self.position = 0


def varint(value: int) -> bytes:
    """A non-negative integer as the protocol writes it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str) -> bytes:
    """A length-prefixed UTF-8 string."""
    data = value.encode()
    return varint(len(data)) + data
