"""Warm workers: each serves one program, and none is left over or shared."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from archloom.tools import BwrapSandbox, Limits
from archloom.tools.sandboxes._bwrap import binaries
from archloom.tools.sandboxes._workers import Workers, start_worker


@pytest.fixture(scope="module")
def binary() -> Path:
    for binary in binaries():
        if BwrapSandbox(binary).probe() is None:
            return binary
    pytest.skip("bubblewrap does not work here")


@pytest.fixture
def workers(binary: Path) -> Iterator[Workers]:
    pool = Workers(lambda: start_worker(binary, Limits()), keep=2)
    yield pool
    pool.close()


def test_worker_is_handed_out_once(workers: Workers) -> None:
    workers.replace()
    first, second = workers.take(), workers.take()
    assert first.process.pid != second.process.pid
    for worker in (first, second):
        worker.end()


def test_no_more_wait_than_are_kept(workers: Workers) -> None:
    for _ in range(4):
        workers.replace()
    taken = [workers.take() for _ in range(3)]
    pids = [worker.process.pid for worker in taken]
    assert pids[2] > max(pids[:2])  # two waited; the third was started for the asking
    for worker in taken:
        worker.end()


def test_worker_that_has_died_meanwhile_is_not_handed_out(workers: Workers) -> None:
    workers.replace()
    worker = workers.take()
    worker.process.kill()
    worker.process.wait()
    workers._waiting.append(worker)
    other = workers.take()
    assert other.process.poll() is None
    other.end()


def test_closing_ends_those_that_wait_and_leaves_the_pool_usable(workers: Workers) -> None:
    workers.replace()
    workers.replace()
    waiting = [worker.process for worker in workers._waiting]
    workers.close()
    assert all(process.poll() is not None for process in waiting)
    worker = workers.take()
    assert worker.process.poll() is None
    worker.end()


def test_workers_end_with_what_kept_them(binary: Path) -> None:
    pool = Workers(lambda: start_worker(binary, Limits()), keep=1)
    pool.replace()
    process = pool._waiting[0].process
    del pool
    assert process.poll() is not None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_does_not_share_the_workers_of_its_parent(workers: Workers) -> None:
    workers.replace()
    before = workers._waiting[0].process
    child = os.fork()
    if child == 0:  # pragma: no cover - in another process
        try:
            worker = workers.take()
            is_new = worker.process.pid != before.pid
            worker.end()
            workers.close()
            os._exit(0 if is_new else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert before.poll() is None, "the child ended its parent's worker"


def test_programs_of_several_event_loops_share_one_sandbox(binary: Path) -> None:
    box = BwrapSandbox(binary)
    outputs: list[str] = []

    def work() -> None:
        for _ in range(2):
            outputs.append(asyncio.run(box.python("print(1)")).stdout)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()  # workers that ended with their threads are not handed out
    box.close()
    assert outputs == ["1\n"] * 6


async def test_large_programs_files_and_inputs_arrive_whole(binary: Path) -> None:
    box = BwrapSandbox(binary)
    program = f"import sys\nx = {'y' * 10**6!r}\nprint(len(x), len(open('big', 'rb').read()), len(sys.stdin.read()))"
    result = await box.python(program, files={"big": bytes(10**6)}, stdin="z" * 10**6)
    box.close()
    assert (result.stdout, result.stderr) == ("1000000 1000000 1000000\n", "")


async def test_cpu_limit_of_a_program_is_its_own(binary: Path) -> None:
    box = BwrapSandbox(binary)
    result = await box.python("import resource; print(resource.getrlimit(resource.RLIMIT_CPU))", timeout_s=2.5)
    box.close()
    limit = 3 * (os.cpu_count() or 1)
    assert result.stdout == f"({limit}, {limit})\n"
