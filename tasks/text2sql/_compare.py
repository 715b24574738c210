"""When two results count as the same, as Spider and BIRD define it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from archloom.tools.sql import Row

_NAN = "NaN", "is equal to itself here"


def same_bag(gold: Sequence[Row], given: Sequence[Row], *, ordered: bool) -> bool:
    """Spider's: the same rows as often, under some order of the columns; in the same order where ``ordered``."""
    if not gold or not given or len(gold) != len(given):
        return len(gold) == len(given)
    if len(gold[0]) != len(given[0]):
        return False
    left, right = _comparable(gold), _comparable(given)
    columns, others = list(zip(*left, strict=True)), list(zip(*right, strict=True))
    if ordered:
        return Counter(columns) == Counter(others)
    bags = [Counter(column) for column in columns]
    like = [[place for place, other in enumerate(others) if Counter(other) == bag] for bag in bags]
    return all(like) and any(True for _ in _orders(left, others, like, ()))


def same_set(gold: Sequence[Row], given: Sequence[Row]) -> bool:
    """BIRD's execution accuracy: the same distinct rows; order and repetition do not count, columns' order does."""
    return set(_comparable(gold)) == set(_comparable(given))


def soft_f1(gold: Sequence[Row], given: Sequence[Row]) -> float:
    """BIRD's Soft-F1: distinct rows paired by their place, and in each pair the values that both have."""
    wanted, got = list(dict.fromkeys(_comparable(gold))), list(dict.fromkeys(_comparable(given)))
    if not wanted and not got:
        return 1.0
    both, only_got, only_wanted = 0.0, 0.0, 0.0
    for right, answer in zip(wanted, got, strict=False):
        both += sum(value in right for value in answer) / len(right)
        only_got += sum(value not in right for value in answer) / len(right)
        only_wanted += sum(value not in answer for value in right) / len(right)
    only_got += max(0, len(got) - len(wanted))
    only_wanted += max(0, len(wanted) - len(got))
    precision, recall = both / ((both + only_got) or 1.0), both / ((both + only_wanted) or 1.0)
    return 2 * precision * recall / (precision + recall) if both else 0.0


def _comparable(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    """The rows with a NaN (PostgreSQL has it) that equals itself. Otherwise Python's equality is SQL's: 1 = 1.0."""
    return [tuple(_NAN if value != value else value for value in row) for row in rows]


def _orders(
    left: list[tuple[object, ...]], others: list[tuple[object, ...]], like: list[list[int]], chosen: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Orders of the other columns under which the rows are the same bag, found column by column."""
    if chosen and Counter(row[: len(chosen)] for row in left) != Counter(
        zip(*(others[at] for at in chosen), strict=True)
    ):
        return
    if len(chosen) == len(like):
        yield chosen
        return
    tried: list[tuple[object, ...]] = []
    for place in like[len(chosen)]:
        if place not in chosen and others[place] not in tried:  # equal columns would only repeat the search
            tried.append(others[place])
            yield from _orders(left, others, like, (*chosen, place))
