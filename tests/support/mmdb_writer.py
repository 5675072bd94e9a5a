"""Writer of small MaxMind databases, by the published description of the format (version 2.0)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

_EMPTY = -1
_STRING, _DOUBLE, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 3, 5, 6, 7, 9, 11
_SIZES = {"build_epoch": _UINT64, "node_count": _UINT32}  # other integers of the metadata have 16 bits


def mmdb(records: Mapping[str, Any]) -> bytes:
    """Return a database with a record per network, as in `{"12.21.0.0/16": {"city": {…}}}`."""
    nodes: list[list[int]] = [
        [_EMPTY, _EMPTY]
    ]  # successors for bits 0 and 1: a node, or a record as -2, -3 …
    data, offsets = b"", []
    for network, record in records.items():
        offsets.append(len(data))
        data += _encode(record)
        _insert(nodes, _bits(network), -1 - len(offsets))
    tree = b"".join(_entry(value, len(nodes), offsets) for node in nodes for value in node)
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,  # 0 counts as missing
        "database_type": "Test-City",
        "description": {"en": "for tests"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": 32,
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encode(metadata)


def _bits(network: str) -> str:
    parsed = ipaddress.ip_network(network)
    if parsed.version == 4:
        return "0" * 96 + f"{int(parsed.network_address):032b}"[: parsed.prefixlen]
    return f"{int(parsed.network_address):0128b}"[: parsed.prefixlen]


def _insert(nodes: list[list[int]], bits: str, record: int) -> None:
    node = 0
    for bit in map(int, bits[:-1]):
        if nodes[node][bit] == _EMPTY:
            nodes.append([_EMPTY, _EMPTY])
            nodes[node][bit] = len(nodes) - 1
        node = nodes[node][bit]
    nodes[node][int(bits[-1])] = record


def _entry(value: int, node_count: int, offsets: list[int]) -> bytes:
    if value == _EMPTY:
        value = node_count
    elif value < _EMPTY:
        value = node_count + 16 + offsets[-2 - value]
    return struct.pack(">I", value)


def _encode(value: Any) -> bytes:
    match value:
        case str():
            text = value.encode()
            return _control(_STRING, len(text)) + text
        case float():
            return _control(_DOUBLE, 8) + struct.pack(">d", value)
        case list():
            return _control(_ARRAY, len(value)) + b"".join(map(_encode, value))
        case dict():
            return _control(_MAP, len(value)) + b"".join(
                _encode(key) + _value(key, value[key]) for key in value
            )
    raise TypeError(type(value))


def _value(key: str, value: Any) -> bytes:
    if not isinstance(value, int):
        return _encode(value)
    kind = _SIZES.get(key, _UINT16)
    size = {_UINT16: 2, _UINT32: 4, _UINT64: 8}[kind]
    return _control(kind, size) + value.to_bytes(size, "big")


def _control(kind: int, size: int) -> bytes:
    assert size < 29
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
