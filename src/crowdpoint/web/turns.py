"""Schedule workers fairly among clients."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Fair scheduler of items, each used by one client at a time.

    A free item goes to the waiting client with the fewest items; ties go to the least recently served client.
    The last free one of several goes only to a client without items, so that a client with long turns never
    has all of them. Runs in the event loop, so no locks are needed.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._free = deque(items)
        self._kept = 1 if len(self._free) > 1 else 0  # free ones that only a client without any gets
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[Item]]] = {}  # longest waiting first

    async def take(self, client: str) -> Item:
        """Wait for the client's turn, and take an item until `give`."""
        turn: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        self._assign()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # assigned at the same moment
                self.give(client, turn.result())
            raise

    def give(self, client: str, item: Item) -> None:
        """Give an item back."""
        self._held[client] -= 1
        self._held += Counter()  # removes clients without items
        self._free.append(item)
        self._assign()

    def _assign(self) -> None:
        while self._free and self._waiting:
            client = min(self._waiting, key=lambda name: self._held[name])
            if self._held[client] and len(self._free) <= self._kept:
                return
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns  # behind the others
            if not turn.done():  # cancelled requests leave their turns behind
                self._held[client] += 1
                turn.set_result(self._free.popleft())
