"""Series as TensorBoard's event files: one folder a run, which is an arm at a seed. No TensorBoard is needed to write them.

A file is a sequence of records: length, its checksum, content, its checksum (TensorFlow's ``record_writer.cc``). A content is
an ``Event`` of ``event.proto``: 1 wall time (double), 2 step (varint), 3 version of the file (text) or 5 summary, which here is
one value: 1 tag (text), 2 number (float32). Series keep their names. There is no wall time for a point, so all have the run's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache

import numpy as np

from dropviz.export.series import Series

CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, bits reversed


def event_file(series: Iterable[Series], wall_time: float) -> bytes:
    """The content of one event file, of an arm at a seed; values are rounded to float32, which is what the format holds.

    Args:
        series: Those of the run.
        wall_time: Seconds since 1970, of the run.
    """
    head = _field(1, wall_time) + _text(3, b"brain.Event:2")
    records = [_record(head)]
    for one in series:
        tag = _text(1, one.metric.encode())
        for step, value in zip(one.steps, one.values, strict=True):
            summary = _text(1, tag + b"\x15" + struct.pack("<f", _single(value)))
            records.append(_record(_field(1, wall_time) + b"\x10" + _varint(step) + _text(5, summary)))
    return b"".join(records)


def _single(value: float) -> float:
    """The nearest float32, infinite where it is too large for one."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, turned by 15 bits and moved by a constant, so that a checksum of a checksum is none of its special cases."""
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(content: bytes) -> int:
    """The checksum of iSCSI (RFC 3720), byte by byte."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
        found.append(crc)
    return tuple(found)


def _field(number: int, value: float) -> bytes:
    """A double."""
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


def _text(number: int, content: bytes) -> bytes:
    """A text, or a message within."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
