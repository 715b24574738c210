"""The samples of one model: from the store, from requests under way, or from new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError, ReplayMissError
from archloom.orchestrator.models._address import Address, Question
from archloom.orchestrator.models._calls import Calls
from archloom.orchestrator.models._flight import Flight, Outcome, land
from archloom.orchestrator.models._race import Race, Stopped
from archloom.orchestrator.models._surroundings import Surroundings

_TICK_S = 1e-6


class Pool:
    """The samples of one model, each drawn once however many ask for it.

    Args:
        calls: Draws what the store lacks.
        around: Where samples are kept.
        replaceable: Whether other models stand in when this one cannot be used at all; else that ends the run.
    """

    def __init__(self, calls: Calls, around: Surroundings, *, replaceable: bool) -> None:
        self._calls, self._around, self._replaceable = calls, around, replaceable
        self._flights: dict[Address, Flight] = {}
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._recorded: set[Address] = set()
        self._failed: set[Address] = set()

    async def close(self) -> None:
        """Cancels what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def draw(self, wanted: Mapping[Address, Question], within_s: float) -> dict[Address, Outcome]:
        """For each address the sample or what went wrong; those that the model took longer for are missing."""
        drawn: dict[Address, Outcome] = {}
        flights: dict[Address, Flight] = {}
        for address, question in wanted.items():
            known = self._known(address, question)
            if known is None:
                flights[address] = self._flight(address, question)
            elif not isinstance(known, Sample) or known.latency_s <= within_s:
                drawn[address] = known
        if flights:
            landed = await land(flights, within_s)
            for address, outcome in landed.items():
                if not isinstance(outcome, Sample) or outcome.latency_s <= within_s:
                    drawn[address] = outcome
        return drawn

    async def race(self, wanted: Mapping[Address, Question], race: Race) -> dict[Address, Outcome]:
        """What the race decides about each; the store keeps how far those had come that it stopped."""
        recording = self._around.use == "record"
        for address, question in wanted.items():
            part = None if recording else self._around.store.get(Stopped.of(address).address)
            if part is not None:
                race.stopped[address] = part
            if part is None or self._around.store.get(address) is not None:
                known = self._known(address, question)
                if known is not None:
                    race.arrived[address] = known
        over_s = race.over_s
        flights: dict[Address, Flight] = {}
        for address, question in wanted.items():
            if not race.decided(address, over_s) and self._known(address, question) is None:
                flights[address] = self._flight(address, question)
        let_go = await race.watch(flights, to_the_end=recording) if flights else {}
        for address, ran_s in let_go.items():
            flight = flights[address]
            await asyncio.wait({flight.task})
            if flight.task.cancelled():
                there, asked = Stopped.of(address)
                used = race.used(flight, ran_s, wanted[address].sampling.max_tokens)
                race.stopped[address] = await self._around.store.put(
                    there, self._calls.client.identity, used, question=asked, replace=True
                )
            else:
                race.arrived[address] = flight.task.result()
        return race.results(wanted)

    def _known(self, address: Address, question: Question) -> Outcome | None:
        """What the store says, as far as it may be used."""
        around = self._around
        if around.use == "record" and address not in self._recorded:
            return None
        if (stored := around.store.get(address)) is not None or around.use != "replay":
            return stored
        if (failed := around.store.failure(address)) is not None:
            return failed
        asked = question.messages[-1].get("content") if question.messages else ""
        raise ReplayMissError(
            f"The store does not hold sample {address.index} (stream {address.stream}) of "
            f"{self._calls.client.identity} for {str(asked)[:80]!r}; "
            f"its address is {address.key[:12]}/{address.stream}/{address.index}.",
            hint="Replay with the store that the run wrote, or leave --replay out to draw what is missing.",
        )

    def _flight(self, address: Address, question: Question) -> Flight:
        """The request for this sample that is under way, or a new one."""
        flying = self._flights.get(address)
        joinable = flying is not None and not flying.task.cancelling()
        return flying if flying and joinable else self._take_off(address, question)

    def _take_off(self, address: Address, question: Question) -> Flight:
        flight = Flight(address)
        flight.take_off(self._fly(flight, question))
        self._flights[address] = flight
        self._tasks.add(flight.task)

        def close(task: asyncio.Task[Outcome]) -> None:
            self._tasks.discard(task)
            if self._flights.get(address) is flight:  # nobody can join it any more
                del self._flights[address]

        flight.task.add_done_callback(close)
        return flight

    async def _fly(self, flight: Flight, question: Question) -> Outcome:
        """Draws a sample and keeps it, or how it failed."""
        address, identity = flight.address, self._calls.client.identity
        try:
            deadline_s = self._calls.spec.deadline_s
            async with asyncio.timeout(deadline_s) if deadline_s else nullcontext():
                completion = await self._calls.complete(flight, question, again=address in self._failed)
        except ModelCallError as exc:
            failed = FailedSample(exc.failure, exc.message, address.index)
        except TimeoutError:
            failed = FailedSample("timeout", f"no completion within deadline_s = {deadline_s:g} s.", address.index)
        except ModelUnavailableError as exc:
            if not self._replaceable:
                raise
            failed = FailedSample("connection", exc.message, address.index)
        else:
            flight.answered()
            # To those who gave up it was late, and so it must be in every replay.
            given_up_s = flight.given_up_s
            if (part := self._around.store.get(Stopped.of(address).address)) is not None:
                given_up_s = max(given_up_s, part.latency_s)
            latency_s = round(max(completion.latency_s, given_up_s + _TICK_S), 6)
            sample = Sample(**{**vars(completion), "latency_s": latency_s}, index=address.index)
            recording = self._around.use == "record"
            if recording:
                self._recorded.add(address)
            return await self._around.store.put(address, identity, sample, question=question.content, replace=recording)
        self._failed.add(address)
        await self._around.store.fail(address, identity, failed, question=question.content)
        return failed
