"""MurmurHash3 (x86, 32 bit) in Python, for interpreters without the extension `mmh3`.

Public domain algorithm by Austin Appleby. It is some 30 times as slow as the extension, which has
no wheels for WebAssembly.
"""

from __future__ import annotations

import struct

MASK = 0xFFFFFFFF


def murmur3(data: bytes, seed: int = 0) -> int:
    """Return the hash as a signed integer of 32 bits, as `mmh3.hash` does."""
    whole = len(data) & ~3
    state = seed
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        state ^= mixed(word)
        state = (state << 13 | state >> 19) & MASK
        state = (state * 5 + 0xE6546B64) & MASK
    state ^= mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & MASK
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


def mixed(word: int) -> int:
    """Return a block of four bytes as it is combined with the state."""
    word = (word * 0xCC9E2D51) & MASK
    word = (word << 15 | word >> 17) & MASK
    return (word * 0x1B873593) & MASK
