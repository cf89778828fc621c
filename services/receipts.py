"""Receipts: Cairn's signature on what it recorded, made with a local Ed25519 key.

Signed is the text `cairn-receipt-v1`, the study, the position and the leaf hash, a line each. The
public key is served as a C2SP verifier key, so that a receipt can be checked by anybody.
"""

import base64
import binascii
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.ledger.types import Stored
from infra.vault.keyring import wrapping_key

ALGORITHM_ED25519 = b"\x01"


class Receipts:
    """Signs receipts with one key."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()

    def signed(self, study: str, stored: Stored) -> bytes:
        """The receipt of an event, as JSON: position, leaf hash, and the signature over both."""
        signature = self._key.sign(text(study, stored.position, stored.hash))
        return b'{"position":%d,"hash":"%s","signature":"%s"}' % (
            stored.position,
            stored.hash.encode(),
            binascii.b2a_base64(signature, newline=False),
        )

    def verifier_key(self, study: str) -> str:
        """The public key in C2SP form: `<name>+<key id>+<base64 of algorithm and key>`."""
        name = f"cairn/{study}"
        body = ALGORITHM_ED25519 + self._public
        key_id = hashlib.sha256(name.encode() + b"\n" + body).digest()[:4].hex()
        return f"{name}+{key_id}+{base64.b64encode(body).decode()}"


def text(study: str, position: int, leaf_hash: str) -> bytes:
    """What a receipt signs."""
    return f"cairn-receipt-v1\n{study}\n{position}\n{leaf_hash}\n".encode()


def open_receipts(path: Path) -> Receipts:
    """The receipts of a key file (0600), which is made on first use."""
    return Receipts(wrapping_key(path))
