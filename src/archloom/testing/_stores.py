"""What every sample store must keep, whoever wrote it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar, TypeAlias

import pytest

from archloom.nodes import FailedSample, Sample, TokenLogprob
from archloom.orchestrator.models import Address, SampleStore

OpenStore: TypeAlias = Callable[[], SampleStore]

SAMPLES = {
    "plain": Sample("The answer is 12.", "stop", 31, 6, 0.25),
    "cut": Sample("and then", "length", 1, 2, 3.5, logprob=-0.75),
    "empty": Sample("", "empty", 12, 0, 0.0),
    "numbers": Sample("7", "stop", 2**31, 2**31, 0.1 + 0.2, logprob=-1e-300),
    "unicode": Sample("naïve 東京 🦊 \u202e\u0000\r\n\t end", "stop", 5, 9, 1.0, logprob=0.0),
    "sql": Sample("'); DROP TABLE samples; --", "stop", 5, 9, 1.0),
    "long": Sample("word " * 200_000, "length", 5, 200_000, 999.999999),
    "estimated": Sample("text", "stop", 5, 9, 1.0, estimated=True),
    "reasoning": Sample("12", "stop", 5, 90, 1.0, reasoning="6 and 6 is 12.\n"),
    "no reasoning": Sample("12", "stop", 5, 90, 1.0, reasoning=""),
    "fallback": Sample("text", "stop", 5, 9, 1.0, model="other/model"),
    "tools": Sample(
        "",
        "tool_calls",
        5,
        9,
        1.0,
        tool_calls=(
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1.50}'}},
            {"z": None, "a": [1, 2.5, True, "東京"], "n": {}},
        ),
    ),
    "tokens": Sample(
        "ab",
        "stop",
        2,
        2,
        1.0,
        tokens=(
            TokenLogprob("a", -0.1, (("a", -0.1), ("ä", -2.5))),
            TokenLogprob("\ufffd\u0000", -math.inf, (("b", 0.0), ("c", -math.inf))),
        ),
        prompt_tokens=(TokenLogprob("<s>", 0.0), TokenLogprob(" x", -1 / 3)),
    ),
    "certainly not": Sample("text", "stop", 5, 9, 1.0, logprob=-math.inf),
}


QUESTIONS = {
    "short": b'{"messages":[],"model":"m"}',
    "unicode": '{"content":"naïve 東京 🦊 \\u0000"}'.encode(),
    "long": b'{"content":"' + b"word " * 100_000 + b'"}',
    "empty": b"",
}


def at(index: int, *, key: str = "k", stream: int = 0) -> Address:
    """An address."""
    return Address(key, stream, index)


def numbered(index: int) -> Sample:
    """A sample that says which one it is."""
    return Sample(f"sample {index}", "stop", 10, 2, index / 8, index=index)


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

    async def test_a_replacement_takes_the_place(self, store: SampleStore) -> None:
        first, second, third = numbered(0), Sample("another", "length", 1, 1, 1.0), Sample("third", "stop", 1, 1, 1.0)
        await store.put(at(0), "m", first)
        assert await store.put(at(0), "n", second, replace=True) == second
        assert store.get(at(0)) == second
        assert await store.put(at(0), "m", third) == second
        assert [(row.model, row.samples) for row in store.stats()] == [("n", 1)]

    async def test_a_replacement_needs_nothing_to_replace(self, store: SampleStore) -> None:
        assert await store.put(at(0), "m", numbered(0), replace=True) == numbered(0)
        assert store.get(at(0)) == numbered(0)

    async def test_the_index_is_that_of_the_address(self, store: SampleStore) -> None:
        assert await store.put(at(7), "m", numbered(0)) == replace(numbered(0), index=7)
        assert store.get(at(7)) == replace(numbered(0), index=7)
        await store.fail(at(8), "m", FailedSample("timeout", "too late", index=3))
        assert store.failure(at(8)) == FailedSample("timeout", "too late", index=8)

    async def test_a_failure_is_remembered_and_is_no_sample(self, store: SampleStore) -> None:
        failed = FailedSample("content_filter", "naïve 東京 \u0000", index=2)
        await store.fail(at(2), "m", failed)
        assert store.failure(at(2)) == failed
        assert store.get(at(2)) is None
        assert store.stats() == []
        for other in (at(1), at(2, stream=1), at(2, key="other")):
            assert store.failure(other) is None

    async def test_the_last_failure_counts(self, store: SampleStore) -> None:
        await store.fail(at(0), "m", FailedSample("timeout", "first"))
        await store.fail(at(0), "m", FailedSample("server", "second"))
        assert store.failure(at(0)) == FailedSample("server", "second")

    @pytest.mark.parametrize("replaces", [False, True], ids=["put", "replace"])
    async def test_a_sample_ends_the_failure_at_its_address(self, store: SampleStore, replaces: bool) -> None:
        for index in range(2):
            await store.fail(at(index), "m", FailedSample("timeout", "too late", index=index))
        assert await store.put(at(0), "m", numbered(0), replace=replaces) == numbered(0)
        assert (store.get(at(0)), store.failure(at(0))) == (numbered(0), None)
        assert store.failure(at(1)) == FailedSample("timeout", "too late", index=1)

    async def test_a_failure_never_hides_a_sample(self, store: SampleStore) -> None:
        await store.put(at(0), "m", numbered(0))
        await store.fail(at(0), "m", FailedSample("timeout", "too late"))
        assert (store.get(at(0)), store.failure(at(0))) == (numbered(0), None)

    async def test_samples_and_failures_written_at_once_end_as_samples(self, store: SampleStore) -> None:
        async with asyncio.TaskGroup() as group:
            for index in range(50):
                group.create_task(store.fail(at(index), "m", FailedSample("timeout", "before", index=index)))
                group.create_task(store.put(at(index), "m", numbered(index)))
                group.create_task(store.fail(at(index), "m", FailedSample("timeout", "after", index=index)))
        assert [store.get(at(index)) for index in range(50)] == [numbered(index) for index in range(50)]
        assert [store.failure(at(index)) for index in range(50)] == [None] * 50

    @pytest.mark.parametrize("content", QUESTIONS.values(), ids=QUESTIONS.keys())
    async def test_a_question_comes_back_byte_for_byte(self, store: SampleStore, content: bytes) -> None:
        await store.put(at(0), "m", numbered(0), question=content)
        assert store.question("k") == content
        assert store.question("other") is None

    async def test_the_first_question_stays(self, store: SampleStore) -> None:
        await store.put(at(0), "m", numbered(0))
        assert store.question("k") is None
        await store.put(at(0), "m", numbered(0), question=b"first")
        await store.put(at(1), "m", numbered(1), question=b"second")
        await store.put(at(2), "m", numbered(2))
        assert store.question("k") == b"first"

    async def test_a_failure_brings_its_question(self, store: SampleStore) -> None:
        await store.fail(at(0), "m", FailedSample("timeout", "too late"), question=b"{}")
        assert store.question("k") == b"{}"

    async def test_many_questions_at_once_are_all_kept(self, store: SampleStore) -> None:
        async with asyncio.TaskGroup() as group:
            for i in range(300):
                question = f"{i // 3}".encode() * 400
                group.create_task(store.put(at(i, key=f"k{i // 3}"), "m", numbered(i), question=question))
        assert [store.question(f"k{i}") for i in range(100)] == [f"{i}".encode() * 400 for i in range(100)]

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

    async def test_a_put_that_is_cancelled_hurts_no_other(self, store: SampleStore) -> None:
        async with asyncio.TaskGroup() as group:
            puts = [group.create_task(store.put(at(i), "m", numbered(i))) for i in range(30)]
            await asyncio.sleep(0)
            for put in puts[::3]:
                put.cancel()
        for index, put in enumerate(puts):
            if put.cancelled():
                assert index % 3 == 0
                assert store.get(at(index)) in (None, numbered(index))
            else:
                assert put.result() == store.get(at(index)) == numbered(index)
        assert await store.put(at(0), "m", numbered(0)) == numbered(0)

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

    async def test_closing_writes_what_waits(self, open_store: OpenStore) -> None:
        opened = open_store()
        async with asyncio.TaskGroup() as group:
            puts = [group.create_task(opened.put(at(i), "m", numbered(i))) for i in range(100)]
            await asyncio.sleep(0)
            opened.close()
        assert [put.result() for put in puts] == [numbered(i) for i in range(100)]

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
        await first.fail(at(1), "m", FailedSample("timeout", "too late"), question=b"{}")
        before = first.stats()
        first.close()
        second = open_store()
        assert [second.get(at(0, stream=i)) for i in range(len(SAMPLES))] == list(SAMPLES.values())
        assert second.failure(at(1)) == FailedSample("timeout", "too late", index=1)
        assert second.question("k") == b"{}"
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
