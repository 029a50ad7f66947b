"""Shares out workers among clients, so that a client with much to do does not keep the others waiting."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Things of which each serves one client at a time.

    A free one goes to the client that has the fewest, and among equals to the one that was served least
    recently. All runs in the event loop, so that nothing needs a lock.

    Args:
        items: what is shared out.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._free = deque(items)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[Item]]] = {}  # the client that waits longest first

    async def take(self, client: str) -> Item:
        """Wait for the client's turn; the item is the client's until `give`."""
        turn: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        self._share_out()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self.give(client, turn.result())
            raise

    def give(self, client: str, item: Item) -> None:
        """Take back an item from a client."""
        self._held[client] -= 1
        self._held += Counter()  # drops clients without one
        self._free.append(item)
        self._share_out()

    def _share_out(self) -> None:
        while self._free and self._waiting:
            client = min(self._waiting, key=lambda name: self._held[name])
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns  # behind the others
            if not turn.done():  # a request that was given up leaves its turns behind
                self._held[client] += 1
                turn.set_result(self._free.popleft())
