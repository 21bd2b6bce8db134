"""A store against a dict: the same random calls, the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import libkv

ABSENT = object()


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KeyError:
        return KeyError


@pytest.mark.parametrize("seed", range(5))
def test_random_calls_answer_as_a_dict_does(store: libkv.Store, seed: int) -> None:
    chance = random.Random(seed)
    model: dict[bytes, bytes] = {}

    def key() -> bytes:
        return b"k%d" % chance.randrange(60)

    def data() -> bytes:
        return bytes(chance.randrange(256) for _ in range(chance.choice((0, 1, 7, 8, 100, 300))))

    both: list[Any] = [store, model]
    for _ in range(1000):
        k, v, pairs = key(), data(), {key(): data() for _ in range(chance.randrange(50))}
        call: Callable[[Any], Any] = chance.choice(
            [
                lambda each: each.__setitem__(k, v),
                lambda each: each.__delitem__(k),
                lambda each: each[k],
                lambda each: each.get(k),
                lambda each: each.get(k, ABSENT),
                lambda each: k in each,
                lambda each: each.pop(k),
                lambda each: each.pop(k, ABSENT),
                lambda each: each.setdefault(k, v),
                lambda each: each.update(pairs),
                lambda each: len(each),
                lambda each: sorted(each),
                lambda each: sorted(each.items()),
                lambda each: sorted(each.values()),
                lambda each: each.keys() ^ {k},
                lambda each: (k, v) in each.items(),
                lambda each: v in each.values(),
            ]
        )
        answers = [outcome(lambda each=each, call=call: call(each)) for each in both]  # type: ignore[misc]
        assert answers[0] == answers[1]
    assert store == model
