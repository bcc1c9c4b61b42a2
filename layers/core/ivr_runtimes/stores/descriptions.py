"""Reads the SDK's descriptions of services with msgspec: megabytes of JSON, read before a client is made.

Replaces botocore's `JSONFileLoader` and has its two methods: less CPU at every cold start (docs/decisions.md). Called
by `boto`.
"""

import gzip
from pathlib import Path
from typing import Any

import msgspec


class Files:
    """Replaces botocore's file loader: names come without their ending, `.json` or `.json.gz`."""

    def exists(self, file_path: str) -> bool:
        """Tell whether there is such a file."""
        return Path(file_path + ".json").is_file() or Path(file_path + ".json.gz").is_file()

    def load_file(self, file_path: str) -> Any:
        """Read a file; None, as botocore wants it, if there is none."""
        plain, packed = Path(file_path + ".json"), Path(file_path + ".json.gz")
        if plain.is_file():
            return msgspec.json.decode(plain.read_bytes())
        return msgspec.json.decode(gzip.decompress(packed.read_bytes())) if packed.is_file() else None
