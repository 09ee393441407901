#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads an event file of TensorBoard by itself: tfevents.py FILE prints `step tag value` a line.

Every checksum is checked; a file that does not end with a whole record is an error."""
import struct
import sys

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


assert masked(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        head = data[at : at + 8]
        (count,) = struct.unpack("<Q", head)
        (check,) = struct.unpack("<I", data[at + 8 : at + 12])
        assert check == masked(head), f"the length at byte {at}"
        body = data[at + 12 : at + 12 + count]
        (check,) = struct.unpack("<I", data[at + 12 + count : at + 16 + count])
        assert check == masked(body), f"the record at byte {at}"
        yield body
        at += 16 + count


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = data[at : at + size], at + size
        assert at <= len(data)
        yield key >> 3, value


for number, record in enumerate(records(open(sys.argv[1], "rb").read())):
    event = dict(fields(record))
    if number == 0:
        assert event[3] == b"brain.Event:2", event
        continue
    assert struct.unpack("<d", event[1])[0] > 1.6e9, "the wall time"
    for field, value in fields(event[5]):
        assert field == 1
        entry = dict(fields(value))
        print(event[2], entry[1].decode(), "%.9g" % struct.unpack("<f", entry[2])[0])
