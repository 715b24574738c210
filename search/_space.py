"""The space of a search: one axis per hole, a point picks an option on each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from archloom.graphs import InvalidConfigurationError
from archloom.search._demands import Demands
from archloom.search.errors import EmptySpaceError, SpaceTooLargeError, UnknownConfigurationError

Point: TypeAlias = tuple[int, ...]
"""Index of the chosen option on each axis."""

LISTABLE = 20_000
"""Spaces with more points than this are sampled and never listed."""
_TRIES = 10_000
_REDRAWS = 100


@dataclass(frozen=True)
class Axis:
    """One hole of a document.

    Attributes:
        name: Its path in the document, such as ``nodes.draft.samples``.
        options: The JSON values it can take; for an optional node ``(True, False)``.
        ordered: The options are numbers in order, so that neighbours behave alike.
    """

    name: str
    options: tuple[object, ...]
    ordered: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of :attr:`codes` stands for."""
        own = tuple(f"{self.name}={json.dumps(option)}" for option in self.options)
        return (*own, f"scale({self.name})") if self.ordered else own

    def option(self, value: object) -> int:
        """The place of an option among the others.

        Raises:
            InvalidConfigurationError: it is not offered.
        """
        offered = [json.dumps(option, sort_keys=True) for option in self.options]  # 1 and true are equal in Python
        if (written := json.dumps(value, sort_keys=True, default=repr)) not in offered:
            raise InvalidConfigurationError(f"{self.name} does not offer {value!r}.")
        return offered.index(written)

    @cached_property
    def codes(self) -> NDArray[np.float64]:
        """A row per option: one-hot, and for an ordered axis its place on a centred and scaled log axis.

        Numbers that are not all positive keep a linear axis: their logarithms do not exist.
        """
        one_hot = np.eye(len(self.options))
        if not self.ordered:
            return one_hot
        place = np.array([float(str(option)) for option in self.options])
        place = np.log(place) if place.min() > 0 else place
        place = place - place.mean()
        return np.column_stack([one_hot, place / (place.std() or 1.0)])


def everything_is_valid(point: Point) -> bool:
    """The construction rule of a space without rules."""
    del point
    return True


def indices(point: Point) -> str:
    """The key of a point in a space where different points are different configurations."""
    return ",".join(map(str, point))


class Space:
    """All configurations that a document with holes can become.

    Several points can be the same configuration (the holes of a node that is left out do not matter). Such points
    share a key; the *normal* point stands for all of them, and only normal points are handed out.

    Args:
        axes: The holes.
        valid: False where construction rules forbid a point.
        canonical: Key of the configuration that a valid point makes. Asked once per point.

    Attributes:
        axes: The holes.
        size: Number of points, the forbidden and the equivalent ones included.
    """

    def __init__(
        self,
        axes: Iterable[Axis],
        *,
        valid: Callable[[Point], bool] = everything_is_valid,
        canonical: Callable[[Point], str] = indices,
    ) -> None:
        self.axes = tuple(axes)
        self.size = prod(len(axis.options) for axis in self.axes)
        self._valid = valid
        self._canonical = canonical
        self._keys: dict[Point, str | None] = {}
        self._normal: dict[str, Point] = {}

    @property
    def listable(self) -> bool:
        """True when :meth:`points` can list it."""
        return self.size <= LISTABLE

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of :meth:`encode` stands for, such as ``nodes.draft.samples=4``."""
        return tuple(name for axis in self.axes for name in axis.columns)

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The columns of :meth:`encode` that belong to each axis."""
        ends = np.cumsum([len(axis.columns) for axis in self.axes]).tolist()
        return tuple(slice(end - len(axis.columns), end) for axis, end in zip(self.axes, ends, strict=True))

    def points(self) -> tuple[Point, ...]:
        """Every configuration once, as its normal point, in a fixed order.

        Raises:
            SpaceTooLargeError: more than 20,000 points; use :meth:`sample`.
            EmptySpaceError: the construction rules leave nothing.
        """
        if not self.listable:
            raise SpaceTooLargeError(
                f"A space of {self.size:,} points is not listed (at most {LISTABLE:,}).", hint="Sample it."
            )
        return self._points

    @cached_property
    def _points(self) -> tuple[Point, ...]:
        for point in product(*(range(len(axis.options)) for axis in self.axes)):
            key = self._key(point)
            if key is not None:
                self._normal.setdefault(key, point)
        if not self._normal:
            raise EmptySpaceError(f"The construction rules forbid all {self.size:,} points of this space.")
        return tuple(self._normal.values())

    def _key(self, point: Point) -> str | None:
        if point not in self._keys:
            self._keys[point] = self._canonical(point) if self._valid(point) else None
        return self._keys[point]

    def valid(self, point: Point) -> bool:
        """False where construction rules forbid the point."""
        return self._key(point) is not None

    def key(self, point: Point) -> str:
        """The key of the configuration this point makes; :meth:`point` finds the way back.

        Raises:
            InvalidConfigurationError: construction rules forbid the point.
        """
        key = self._key(point)
        if key is None:
            raise InvalidConfigurationError(f"The construction rules forbid {self.assignment(point)}.")
        if self.listable:
            self.points()
        if key not in self._normal:
            self._normal[key] = self._simplified(point)
        return key

    def normal(self, point: Point) -> Point:
        """The point that stands for this configuration: choices that do not matter are at their first option."""
        return self._normal[self.key(point)]

    def _simplified(self, point: Point) -> Point:
        for axis, index in enumerate(point):
            simpler = _with(point, axis, 0)
            if index and self._key(simpler) == self._key(point):
                point = simpler
        return point

    def point(self, key: str) -> Point:
        """The normal point of a configuration that this space can list or has seen.

        Raises:
            UnknownConfigurationError: the key is not of this space, or the space is too large to list and
                :meth:`key` was never asked about that configuration.
        """
        if self.listable:
            self.points()
        if key not in self._normal:
            raise UnknownConfigurationError(
                f"No configuration with the key {key!r} has been seen in this space.",
                hint="A space too large to list learns a key from space.key(point): resume with the logged points.",
            )
        return self._normal[key]

    def demands(self, point: Point) -> Demands:
        """What a configuration asks of its models; here nobody knows more than that it is another one."""
        return {self.key(point): ()}

    def active(self, point: Point) -> tuple[bool, ...]:
        """For each axis of a normal point whether it matters: another option makes another configuration."""
        return tuple(self._matters(point, axis) for axis in range(len(self.axes)))

    def _matters(self, point: Point, axis: int) -> bool:
        # A choice that matters for none of its options is at the first one in a normal point; the second tells.
        if point[axis] or len(self.axes[axis].options) == 1:
            return True
        return self._key(_with(point, axis, 1)) != self._key(point)

    def sample(self, rng: np.random.Generator) -> Point:
        """A random configuration: uniform over configurations if the space can be listed, else over valid points.

        Raises:
            EmptySpaceError: no valid point was found.
        """
        if self.listable:
            points = self.points()
            return points[int(rng.integers(len(points)))]
        for point in self.scattered(rng, _TRIES):
            return self.normal(point)
        raise EmptySpaceError(f"{_TRIES:,} random points of this space were all forbidden by construction rules.")

    def scattered(self, rng: np.random.Generator, draws: int) -> Iterator[Point]:
        """The valid ones of so many random points, as drawn: choices that do not matter take any option."""
        sizes = [len(axis.options) for axis in self.axes]
        for _ in range(draws):
            point = tuple(rng.integers(sizes).tolist())
            if self.valid(point):
                yield point

    @property
    def traits(self) -> tuple[Axis, ...]:
        """What can be said of a point, each with the values that it can have; here its choices."""
        return self.axes

    def traits_of(self, point: Point) -> Point:
        """The values of :attr:`traits`, by their places among the options."""
        return point

    def draw(self, chances: Sequence[NDArray[np.float64]], rng: np.random.Generator) -> Point:
        """A random configuration whose choices are drawn one by one, each with its own chances.

        What construction rules forbid is drawn again as a whole; when nothing valid turns up, as by :meth:`sample`.

        Args:
            chances: For each axis the probability of each option.
            rng: Where randomness comes from.
        """
        for _ in range(_REDRAWS):
            point = tuple(int(rng.choice(len(own), p=own)) for own in chances)
            if self.valid(point):
                return self.normal(point)
        return self.sample(rng)

    def neighbours(self, point: Point) -> tuple[Point, ...]:
        """The other configurations that differ in one choice; on an ordered axis by one step."""
        found: dict[str, Point] = {}
        for axis in range(len(self.axes)):
            for index in self._steps(point, axis):
                near = _with(point, axis, index)
                if self.valid(near):
                    found[self.key(near)] = self.normal(near)
        found.pop(self.key(point), None)
        return tuple(found.values())

    def _steps(self, point: Point, axis: int) -> Sequence[int]:
        here, count = point[axis], len(self.axes[axis].options)
        if self.axes[axis].ordered:
            return [index for index in (here - 1, here + 1) if 0 <= index < count]
        return [index for index in range(count) if index != here]

    def mutate(self, point: Point, rng: np.random.Generator) -> Point:
        """Another configuration close to this one: at least one choice is redrawn, each other with chance 1/axes.

        Where no valid other configuration turns up, a random one is returned.
        """
        sizes, here = [len(axis.options) for axis in self.axes], self.key(point)
        for _ in range(100):
            redrawn = rng.random(len(sizes)) < 1 / len(sizes)
            redrawn[rng.integers(len(sizes))] = True
            near = tuple(np.where(redrawn, rng.integers(sizes), point).tolist())
            if self.valid(near) and self.key(near) != here:
                return self.normal(near)
        return self.sample(rng)

    def encode(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """A row of numbers per normal point, a column per name in :attr:`columns`.

        An axis that does not matter for a point is all zeros there, so it neither learns nor predicts.
        """
        if not points:
            return np.zeros((0, len(self.columns)))
        active = np.array([self.active(point) for point in points])
        chosen = np.array(points)
        return np.column_stack(
            [axis.codes[chosen[:, number]] * active[:, number, None] for number, axis in enumerate(self.axes)]
        )

    def words(self, point: Point) -> dict[str, JsonValue]:
        """A configuration as JSON that a model can read and write; :meth:`read` is the way back."""
        return cast("dict[str, JsonValue]", self.assignment(point))

    def offers(self) -> dict[str, JsonValue]:
        """What :meth:`read` understands, for a model: the options of each hole."""
        return {axis.name: cast("list[JsonValue]", list(axis.options)) for axis in self.axes}

    def read(self, words: object) -> Point:
        """The configuration that a model wrote.

        Raises:
            InvalidConfigurationError: it is none of this space.
        """
        names = {axis.name for axis in self.axes}
        if not isinstance(words, Mapping) or set(words) != names:
            raise InvalidConfigurationError(f"A configuration is a JSON object with {', '.join(sorted(names))}.")
        return self.normal(tuple(axis.option(words[axis.name]) for axis in self.axes))

    def assignment(self, point: Point) -> dict[str, object]:
        """The chosen option by name of the hole."""
        return {axis.name: axis.options[index] for axis, index in zip(self.axes, point, strict=True)}


def _with(point: Point, axis: int, index: int) -> Point:
    return (*point[:axis], index, *point[axis + 1 :])
