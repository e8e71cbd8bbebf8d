"""Where the gateway listens, what clients are told, and Redis."""

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from gateway.doctor.finding import Finding
from gateway.settings import Settings

ANSWER_S_MAX = 2.0
REDIS_MIN = (6, 2)


def addresses(settings: Settings) -> Iterator[Finding]:
    yield port(settings.host, settings.port, "DASHTAM_PORT", "/healthz")
    if settings.ops_port is not None:
        yield port(settings.host, settings.ops_port, "DASHTAM_OPS_PORT", "/metrics")
    https = urlsplit(settings.public_url).scheme == "https"
    if not settings.is_development and not https:
        yield Finding(
            f"clients are told {settings.public_url}",
            "set DASHTAM_PUBLIC_URL to the https address that clients use",
            stops=False,
        )


def port(host: str, number: int, setting: str, path: str) -> Finding:
    """Free, or ours: then `path` is answered as the gateway answers it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, number))
        except OSError as error:
            return _not_free(host, number, setting, path, error)
    return Finding(f"port {number} is free")


def _not_free(host: str, number: int, setting: str, path: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        if _is_ours(_dialled(host), number, path):
            return Finding(f"port {number} is answered by a gateway")
        mend = f"something else uses it: end that, or choose another with {setting}"
    elif error.errno == errno.EACCES:
        mend = f"only root may listen there: choose one from 1024 on with {setting}"
    else:
        mend = f"{error.strerror}: DASHTAM_HOST must be an address of this machine"
    return Finding(f"port {number} of {host}", mend)


def _dialled(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only


def _is_ours(host: str, number: int, path: str) -> bool:
    connection = HTTPConnection(host, number, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(10_000)
        if path == "/metrics":
            return answer.status == 200 and b"# TYPE" in said
        return bool(json.loads(said) == {"status": "alive"})
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


async def redis(settings: Settings) -> AsyncIterator[Finding]:
    """Whether Redis answers, is new enough, and keeps what it is told."""
    if settings.redis_url is None:
        return
    from redis.asyncio import Redis  # noqa: PLC0415 - slow to import
    from redis.exceptions import RedisError  # noqa: PLC0415 - same

    try:
        client = Redis.from_url(settings.redis_url)
    except ValueError:
        yield Finding("Redis", "DASHTAM_REDIS_URL cannot be used: give redis://host:6379/0")
        return
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            said = await client.info()
    except (RedisError, OSError, TimeoutError) as error:
        yield Finding("Redis", _no_redis(error))
    else:
        yield redis_version(str(said["redis_version"]))
        if said.get("maxmemory") and said.get("maxmemory_policy") != "noeviction":
            yield Finding(
                f"Redis forgets what does not fit ({said['maxmemory_policy']})",
                "set its maxmemory-policy to noeviction, or limits are lifted where it is full",
                stops=False,
            )
    finally:
        await client.aclose()


def _no_redis(error: Exception) -> str:
    from redis.exceptions import AuthenticationError, ResponseError  # noqa: PLC0415 - as above

    # Over a Unix socket a refusal is an error of the connection, with the same words.
    if isinstance(error, (AuthenticationError, ResponseError)) or "password" in str(error):
        return "it refuses the user or password that DASHTAM_REDIS_URL gives"
    kind = type(error).__name__
    return f"it cannot be reached ({kind}): is it running, and is DASHTAM_REDIS_URL right?"


def redis_version(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    wanted = ".".join(map(str, REDIS_MIN))
    mend = None if numbers >= REDIS_MIN else f"Redis {wanted} or newer is needed: update it"
    return Finding(f"Redis answers: {version}", mend)
