"""What every sample store must keep, whoever wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeAlias

import pytest

from archloom.nodes import Sample
from archloom.orchestrator.models import Address, SampleStore

OpenStore: TypeAlias = Callable[[], SampleStore]

SAMPLES = {
    "plain": Sample("The answer is 12.", "stop", 31, 6, 0.25),
    "cut": Sample("and then", "length", 1, 2, 3.5, logprob=-0.75),
    "filtered": Sample("", "content_filter", 12, 0, 0.0),
    "tools": Sample('{"name": "f"}', "tool_calls", 2**31, 2**31, 1e-6),
    "unicode": Sample("naïve 東京 🦊 \u202e\u0000\r\n\t end", "stop", 5, 9, 1.0, logprob=0.0),
    "sql": Sample("'); DROP TABLE samples; --", "stop", 5, 9, 1.0),
    "long": Sample("word " * 200_000, "length", 5, 200_000, 999.999999),
}


def at(index: int, *, key: str = "k", stream: int = 0) -> Address:
    """An address."""
    return Address(key, stream, index)


def numbered(index: int) -> Sample:
    """A sample that says which one it is."""
    return Sample(f"sample {index}", "stop", 10, 2, index / 8, index)


@pytest.mark.asyncio
class StoreConformance:
    """Inherit, and give the fixture ``open_store``::

        class TestMyStore(StoreConformance):
            @pytest.fixture
            def open_store(self, tmp_path):
                return lambda: MyStore(tmp_path / "samples")

    Attributes:
        persistent: Whether opening the store again gives the same samples.
    """

    persistent: ClassVar[bool] = True

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store, and when called again the same store."""
        raise LookupError(f"{type(self).__name__} must override the fixture 'open_store'")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[SampleStore]:
        """An empty store."""
        opened = open_store()
        yield opened
        opened.close()

    async def test_what_is_missing_is_none(self, store: SampleStore) -> None:
        await store.put(at(0), "m", numbered(0))
        for missing in (at(1), at(0, stream=1), at(0, key="other")):
            assert store.get(missing) is None

    @pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())
    async def test_every_field_comes_back(self, store: SampleStore, sample: Sample) -> None:
        kept = await store.put(at(0), "m", sample)
        assert kept == sample
        assert store.get(at(0)) == sample

    async def test_the_first_write_wins(self, store: SampleStore) -> None:
        first, second = numbered(0), Sample("another", "length", 1, 1, 1.0)
        assert await store.put(at(0), "m", first) == first
        assert await store.put(at(0), "m", second) == first
        assert store.get(at(0)) == first

    async def test_a_pool_grows_and_keeps_what_it_has(self, store: SampleStore) -> None:
        for index in range(4):
            await store.put(at(index), "m", numbered(index))
        for index in range(9, 3, -1):
            await store.put(at(index), "m", numbered(index))
        assert [store.get(at(index)) for index in range(10)] == [numbered(index) for index in range(10)]

    async def test_many_puts_at_once_are_all_kept(self, store: SampleStore) -> None:
        async with asyncio.TaskGroup() as group:
            puts = [group.create_task(store.put(at(i), "m", numbered(i))) for i in range(500)]
        assert [put.result() for put in puts] == [numbered(i) for i in range(500)]
        assert [store.get(at(i)) for i in range(500)] == [numbered(i) for i in range(500)]

    async def test_rivals_for_one_address_agree_on_the_winner(self, store: SampleStore) -> None:
        rivals = [Sample(f"rival {i}", "stop", 1, 1, 1.0) for i in range(50)]
        async with asyncio.TaskGroup() as group:
            puts = [group.create_task(store.put(at(0), "m", rival)) for rival in rivals]
        winner = store.get(at(0))
        assert winner in rivals
        assert [put.result() for put in puts] == [winner] * 50

    async def test_a_put_that_is_cancelled_leaves_the_store_usable(self, store: SampleStore) -> None:
        put = asyncio.ensure_future(store.put(at(0), "m", numbered(0)))
        await asyncio.sleep(0)
        put.cancel()
        await asyncio.wait([put])
        assert await store.put(at(1), "m", numbered(1)) == numbered(1)
        assert store.get(at(0)) in (None, numbered(0))

    async def test_it_outlives_an_event_loop(self, store: SampleStore) -> None:
        for index in range(3):
            await asyncio.to_thread(asyncio.run, store.put(at(index), "m", numbered(index)))
        assert [store.get(at(index)) for index in range(3)] == [numbered(index) for index in range(3)]

    async def test_it_adds_up_by_model(self, store: SampleStore) -> None:
        assert store.stats() == []
        for index, model in enumerate(["b", "a", "b", "b"]):
            await store.put(at(index), model, numbered(index))
        await store.put(at(0), "b", numbered(0))
        assert store.stats() == [("a", 1, 10, 2, 0.125), ("b", 3, 30, 6, 0.625)]

    async def test_closing_twice_is_harmless(self, open_store: OpenStore) -> None:
        opened = open_store()
        await opened.put(at(0), "m", numbered(0))
        opened.close()
        opened.close()

    async def test_it_survives_being_closed(self, open_store: OpenStore) -> None:
        self._needs_persistence()
        first = open_store()
        for index, sample in enumerate(SAMPLES.values()):
            await first.put(at(0, stream=index), "m", sample)
        before = first.stats()
        first.close()
        second = open_store()
        assert [second.get(at(0, stream=i)) for i in range(len(SAMPLES))] == list(SAMPLES.values())
        assert second.stats() == before
        second.close()

    async def test_what_one_handle_keeps_another_sees_at_once(self, open_store: OpenStore) -> None:
        self._needs_persistence()
        one, other = open_store(), open_store()
        assert await one.put(at(0), "m", numbered(0)) == numbered(0)
        assert other.get(at(0)) == numbered(0)
        assert await other.put(at(0), "m", Sample("late", "stop", 1, 1, 1.0)) == numbered(0)
        one.close()
        other.close()

    def _needs_persistence(self) -> None:
        if not self.persistent:
            pytest.skip("this store lives as long as its process")
