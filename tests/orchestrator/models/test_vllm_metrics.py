"""Metrics of a vLLM server, as version 0.32 writes them, and the peaks of a run."""

from __future__ import annotations

import asyncio
import json

import pytest

from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models.vllm._metrics import ServerLoad, ServerMetrics, Watch

TEXT = """\
# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 11386.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b} 9"} 3.0
vllm:num_requests_running{engine="1",model_name="a b} 9"} 2.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 99.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.0027548209366391463
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 447.0
vllm:prefix_cache_queries_created{engine="0",model_name="m"} 1.7953803297430434e+09
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 128.0
vllm:external_prefix_cache_hits_total{engine="0",model_name="m"} 77.0
vllm:num_preemptions_total{engine="0",model_name="m"} 1.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.2e+06
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"} 521.0
vllm:generation_tokens_total{engine="0",model_name="m"} 87.0
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="m"} 40.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="m"} 30.0
"""


def test_metrics_are_read_for_all_engines_together() -> None:
    assert ServerMetrics.read(TEXT) == ServerMetrics(
        kv_cache_use=0.25,
        running=5,
        waiting=4,
        preemptions=1,
        prefix_queries=447,
        prefix_hits=128,
        tokens_in=1_200_000,
        tokens_out=87,
        drafted=40,
        accepted=30,
    )


def test_what_a_server_does_not_tell_is_zero() -> None:
    assert ServerMetrics.read("# nothing\n") == ServerMetrics()


class Readings:
    """Gives these metrics in turn, the last one again and again; ``None`` fails."""

    def __init__(self, *metrics: ServerMetrics | None) -> None:
        self._metrics, self._given = metrics, 0
        self.all_given = asyncio.Event()

    async def __call__(self) -> ServerMetrics:
        metrics = self._metrics[min(self._given, len(self._metrics) - 1)]
        self._given += 1
        if self._given >= len(self._metrics):
            self.all_given.set()
        if metrics is None:
            raise ModelCallError("not now.", failure="connection")
        return metrics


async def watched(*metrics: ServerMetrics | None) -> ServerLoad:
    readings = Readings(*metrics)
    async with Watch(readings, every_s=0.001) as watch:
        await readings.all_given.wait()
    return watch.load


async def test_a_watch_gives_the_peaks_and_what_happened_meanwhile() -> None:
    load = await watched(
        ServerMetrics(0.1, 1, 0, 5, 100, 100, 1000, 50, 10, 10),
        ServerMetrics(0.9, 3, 9, 5, 200, 110, 1200, 60, 20, 11),
        None,
        ServerMetrics(0.2, 7, 1, 6, 300, 120, 1500, 90, 30, 14),
    )
    assert load.peak_kv_cache_use == 0.9
    assert (load.peak_running, load.peak_waiting) == (7, 9)
    assert (load.preemptions, load.tokens_in, load.tokens_out) == (1, 500, 40)
    assert load.prefix_hit_rate == pytest.approx(20 / 200)
    assert load.acceptance_rate == pytest.approx(4 / 20)
    assert load.readings >= 4, "the last one on leaving"


async def test_rates_of_nothing_are_none() -> None:
    load = await watched(ServerMetrics(0.5, prefix_queries=7, prefix_hits=7))
    assert (load.prefix_hit_rate, load.acceptance_rate) == (None, None)


async def test_a_failing_first_reading_does_not_count_what_was_before() -> None:
    load = await watched(None, ServerMetrics(tokens_out=900), ServerMetrics(tokens_out=950))
    assert load.tokens_out == 50


async def test_it_goes_into_a_report_as_it_is() -> None:
    load = await watched(ServerMetrics(0.5, running=2))
    told = json.loads(json.dumps(load.to_json()))
    assert ServerLoad(**told) == load
    assert told["peak_kv_cache_use"] == 0.5


async def test_a_bug_in_reading_is_not_hidden() -> None:
    again = asyncio.Event()
    given = iter([ServerMetrics()])

    async def broken() -> ServerMetrics:
        for metrics in given:
            return metrics
        again.set()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with Watch(broken, every_s=0.001):
            await again.wait()
