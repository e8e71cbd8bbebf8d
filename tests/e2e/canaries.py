"""Secrets that were planted, and whether any of them is found where it has no business."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import asyncpg
import httpx2

# Six digits stand in many numbers by chance: alone they are looked for, and not as a fraction.
DIGITS = re.compile(rb"\d{1,8}")
EVERY_TABLE = """
SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
WHERE schemaname IN ('public', 'jobs') ORDER BY 1"""


@dataclass(slots=True)
class Canaries:
    """Secrets by what they are; planting one is one line."""

    secrets: dict[str, bytes] = field(default_factory=dict)

    def plant(self, what: str, secret: str | bytes) -> str:
        """The secret, so that it can be used at once."""
        said = secret if isinstance(secret, bytes) else secret.encode()
        self.secrets[f"{what} #{len(self.secrets)}"] = said
        return secret if isinstance(secret, str) else ""

    def found(self, places: Mapping[str, bytes]) -> list[str]:
        """Each canary in each place, however it is written there."""
        forms = {what: _forms(secret) for what, secret in self.secrets.items()}
        return [
            f"{what} in {place}"
            for place, content in places.items()
            for what, ways in forms.items()
            if any(way.search(content) for way in ways)
        ]


def _forms(secret: bytes) -> list[re.Pattern[bytes]]:
    """Raw, in JSON, URL-encoded, in hex, and in base64 wherever in a longer text it begins."""
    if DIGITS.fullmatch(secret):
        return [re.compile(rb"(?<![\w.:+-])" + secret + rb"(?![\w:-])")]
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    found |= {quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    try:
        found.add(json.dumps(secret.decode())[1:-1].encode())
    except UnicodeDecodeError:
        found.add(repr(secret)[2:-1].encode())
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(bytes(shift) + secret).rstrip(b"=")
            found.add(whole[(0, 2, 3)[shift] : len(whole) - (len(whole) % 4 > 0)])
    return [re.compile(re.escape(way)) for way in found]


@dataclass(slots=True)
class Refusals:
    """What answers said that were refusals or bugs."""

    content: bytearray = field(default_factory=bytearray)
    count: int = 0

    async def keep(self, answer: httpx2.Response) -> None:
        await answer.aread()
        is_refusal = answer.status_code >= 400 or re.search(rb'"errors":\s*\[\s*{', answer.content)
        if is_refusal:
            self.count += 1
            self.content += repr(answer.headers.raw).encode() + answer.content + b"\n"


async def dumped(db: asyncpg.Connection) -> dict[str, bytes]:
    """Every row of every table, for a superuser: bytes in hex, as COPY writes them."""
    found = {}
    for row in await db.fetch(EVERY_TABLE):
        lines: list[bytes] = []

        async def keep(chunk: bytes, lines: list[bytes] = lines) -> None:
            lines.append(chunk)

        await db.copy_from_query(f"SELECT * FROM {row['name']}", output=keep)
        found[f"table {row['name']}"] = b"".join(lines)
    return found


async def remembered(redis: Any) -> bytes:
    """Every key and value of a server; `redis` is a client of it, which has no types."""
    found = []
    async for key in redis.scan_iter():
        kind = (await redis.type(key)).decode()
        read: Callable[[bytes], Awaitable[object]] = {
            "string": redis.get,
            "hash": redis.hgetall,
            "set": redis.smembers,
            "list": lambda k: redis.lrange(k, 0, -1),
            "zset": lambda k: redis.zrange(k, 0, -1, withscores=True),
            "stream": redis.xrange,
        }[kind]
        found.append(key + b" " + repr(await read(key)).encode())
    return b"\n".join(found)


def written(folder: Path, *, but: Iterable[str]) -> dict[str, bytes]:
    """Every file below the folder, without those of these names."""
    left_out = set(but)
    return {
        f"file {path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out
    }
