"""Telling every process at once, over Redis's PUBLISH and SUBSCRIBE."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.subscribers import Subscribers, Subscription, checked
from domain.cancellation import to_its_end
from domain.errors import Unavailable

PUBLISH_S_MAX = 1.0
CONNECT_S_MAX = 5.0
RETRY_S_FIRST, RETRY_S_MAX = 0.1, 5.0
SILENCE_S_MAX = 30.0  # a connection can break without a word, so it is asked
LOST = (RedisError, OSError, TimeoutError)


class RedisFanout:
    """`domain.ports.Fanout`. Publishes through the client's pool; hears on one connection, which
    is made again when lost: redis-py's own PubSub does that without telling what was missed.

    Messages are not kept: nobody hears what was said before. Channels are Redis's, whatever the
    number of its database.
    """

    def __init__(self, redis: Redis, *, prefix: str = "dashtam:") -> None:
        self._redis, self._prefix = redis, prefix
        self._subscribers = Subscribers()
        self._connection: Any = None
        self._confirmed: set[str] = set()
        self._asked: Counter[str] = Counter()  # SUBSCRIBE was sent so often, and not answered
        self._answered = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def hears(self) -> bool:
        """Whether what is published arrives now; where not, None is said once it does again."""
        return self._connection is not None and self._confirmed.issuperset(
            self._subscribers.channels
        )

    async def publish(self, channel: str, payload: str) -> None:
        """To every subscriber of every process, this one's too; twice where an answer got lost.

        Raises:
            ValueError: over PAYLOAD_BYTES_MAX bytes, or what PostgreSQL could not carry either.
            Unavailable: Redis is away.
        """
        checked(payload)
        try:
            async with asyncio.timeout(PUBLISH_S_MAX):
                await self._redis.publish(self._prefix + channel, payload.encode())
        except LOST as error:
            raise Unavailable("Redis is away") from error

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """While Redis is away, nothing is heard."""
        subscription = self._subscribers.add(channel)
        try:
            async with self._turn:
                if channel in self._confirmed:
                    subscription.hear(None)
                else:
                    await self._ask_for(channel)
            yield subscription
        finally:
            self._subscribers.remove(channel, subscription)
            await to_its_end(self._forget(channel))

    async def _forget(self, channel: str) -> None:
        async with self._turn:
            if channel not in self._subscribers.channels:
                self._confirmed.discard(channel)
                await self._say("UNSUBSCRIBE", channel)

    async def run(self) -> None:
        """Keep the listening connection; for ever, as a task of whoever opened this."""
        wait_s = RETRY_S_FIRST
        while True:
            with suppress(*LOST):
                pool: Any = self._redis.connection_pool
                connection = pool.make_connection()
                try:
                    async with asyncio.timeout(CONNECT_S_MAX):
                        await connection.connect()
                    async with self._turn:
                        self._connection = connection
                        for channel in self._subscribers.channels:
                            await self._ask_for(channel)
                    wait_s = RETRY_S_FIRST
                    await self._listen(connection)
                finally:
                    self._connection = None
                    self._confirmed.clear()
                    self._asked.clear()
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _ask_for(self, channel: str) -> None:
        if self._connection is not None:
            self._asked[channel] += 1
            await self._say("SUBSCRIBE", channel)

    async def _say(self, word: str, *arguments: str) -> None:
        """Its answer comes to `_listen`; a connection that is lost, `run` makes again.

        redis-py would make it again itself, for nobody.
        """
        if self._connection is not None and self._connection.is_connected:
            named = [self._prefix + argument for argument in arguments]
            with suppress(*LOST):
                async with asyncio.timeout(CONNECT_S_MAX):
                    await self._connection.send_command(word, *named, check_health=False)

    async def _listen(self, connection: Any) -> None:
        """Until the connection is lost, which raises."""
        reading = asyncio.create_task(self._read(connection))
        asking = asyncio.create_task(self._ask())
        try:
            done, _ = await asyncio.wait({reading, asking}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reading, asking):
                task.cancel()
            await asyncio.gather(reading, asking, return_exceptions=True)

    async def _read(self, connection: Any) -> None:
        while True:
            match await connection.read_response(timeout=math.inf, push_request=True):
                case [b"message", bytes(name), bytes(payload)]:
                    # Not from us where it is no UTF-8, or ours and garbled: then look.
                    self._subscribers.hear(self._channel(name), _text(payload))
                case [b"subscribe", bytes(name), _]:
                    self._confirm(self._channel(name))
                case _:
                    self._answered.set()

    def _confirm(self, channel: str) -> None:
        self._asked[channel] -= 1
        if self._asked[channel] <= 0 and channel in self._subscribers.channels:
            self._confirmed.add(channel)
            self._subscribers.hear(channel, None)

    async def _ask(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_S_MAX)
            self._answered.clear()
            async with self._turn:
                await self._say("PING")
            async with asyncio.timeout(CONNECT_S_MAX):
                await self._answered.wait()

    def _channel(self, name: bytes) -> str:
        return name.decode("utf-8", "replace").removeprefix(self._prefix)


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
