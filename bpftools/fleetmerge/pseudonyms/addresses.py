# SPDX-License-Identifier: Apache-2.0
"""Addresses under a key: two that share a prefix share one of the same length afterwards, and nobody without the key
gets back from one to the other (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address Anonymization", 2002, with AES).

The first bits stay as they are, so that multicast, link-local and private addresses are told from others: 4 of IPv4, 16
of IPv6. So do 0.0.0.0, 255.255.255.255, :: and ::1, which are nobody's.
"""
import hashlib
import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = 32
_KEPT = {4: 4, 16: 16}     # bits, by bytes of an address
_NOBODY = {4: (bytes(4), b"\xff" * 4), 16: (bytes(16), bytes(15) + b"\x01")}
_BLOCK = 16                # bytes
_AT_ONCE = 4096            # addresses
_GROUP, _LOCAL = 1, 2      # bits of a MAC's first byte
_LIBVIRT = 0xFE            # the first byte of a VM's device, whose others are those of the VM's own MAC


class Addresses:
    """Maps addresses; the same key gives the same ones."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a key has %d bytes" % KEY_BYTES)
        self._cipher = Cipher(algorithms.AES(key[:_BLOCK]), modes.ECB())
        self._pad = np.frombuffer(self._encrypted(key[_BLOCK:]), "u1")
        self._key = key

    def _encrypted(self, blocks: bytes) -> bytes:
        encryptor = self._cipher.encryptor()
        return encryptor.update(blocks) + encryptor.finalize()

    def ip(self, addresses: np.ndarray) -> np.ndarray:
        """Return the addresses' own ones. addresses: u1[n, 4] or u1[n, 16]."""
        different, of = np.unique(addresses, axis=0, return_inverse=True)
        parts = [self._some(different[at:at + _AT_ONCE]) for at in range(0, len(different), _AT_ONCE)]
        return np.concatenate([addresses[:0], *parts])[of.reshape(-1)] if len(addresses) else addresses

    def _some(self, addresses: np.ndarray) -> np.ndarray:
        """Turn each bit by what the bits before it come to."""
        count, size = addresses.shape
        bits = np.unpackbits(addresses, axis=1)
        pad = np.unpackbits(self._pad)
        before = np.tri(8 * size, 8 * size, -1, dtype=bool)      # of each bit, those in front of it
        blocks = np.tile(pad, (count, 8 * size, 1))
        blocks[:, :, :8 * size] = np.where(before, bits[:, None, :], blocks[:, :, :8 * size])
        drawn = np.frombuffer(self._encrypted(np.packbits(blocks, axis=2).tobytes()), "u1")
        turned = (drawn.reshape(count, 8 * size, _BLOCK)[:, :, 0] >> 7).astype("u1")
        turned[:, :_KEPT[size]] = 0
        out = np.packbits(bits ^ turned, axis=1)
        for nobody in _NOBODY[size]:
            same = (addresses == np.frombuffer(nobody, "u1")).all(axis=1)
            out[same] = addresses[same]
        return out

    def mac(self, addresses: np.ndarray) -> np.ndarray:
        """Return the MACs' own ones, u1[n, 6]: locally administered; broadcast and none stay."""
        different, of = np.unique(addresses, axis=0, return_inverse=True)
        out = np.array([list(self.one_mac(one.tobytes())) for one in different], "u1").reshape(-1, 6)
        return out[of.reshape(-1)]

    def one_mac(self, mac: bytes) -> bytes:
        """Return one MAC's own one. A VM's and its device's stay recognisable as such, and nothing else becomes so."""
        if mac in (bytes(6), b"\xff" * 6):
            return mac
        first = self.digest(b"mac", mac)[0] & ~_GROUP & 0xFF | _LOCAL | mac[0] & _GROUP
        if mac[0] == _LIBVIRT or first == _LIBVIRT:
            first = _LIBVIRT if mac[0] == _LIBVIRT else _LIBVIRT ^ 4
        return bytes([first]) + self.digest(b"mac", mac[1:])[:5]

    def digest(self, kind: bytes, value: bytes) -> bytes:
        """Return 32 bytes that stand for a value of some kind."""
        return hmac.new(self._key, kind + b"\0" + value, hashlib.sha256).digest()
