"""Hypothesis, run by programs and not by tests."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase, configuration
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, PrimitiveProvider
from hypothesis.strategies import SearchStrategy


class Uniform(PrimitiveProvider):
    """Whole numbers and truth values, uniform and independent. Hypothesis' own source prefers numbers that stand in the
    modules that happen to be loaded, so that a seed alone does not say what it draws.
    """

    source: ClassVar[random.Random] = random.Random(0)

    def draw_boolean(self, p: float = 0.5) -> bool:
        return self.source.random() < p

    def draw_integer(self, min_value: int | None = None, max_value: int | None = None, **more: Any) -> int:
        assert min_value is not None, "only of a range"
        assert max_value is not None, "only of a range"
        return self.source.randint(min_value, max_value)

    def draw_float(self, **more: Any) -> float:
        raise NotImplementedError

    def draw_string(self, *given: Any, **more: Any) -> str:
        raise NotImplementedError

    def draw_bytes(self, *given: Any, **more: Any) -> bytes:
        raise NotImplementedError


AVAILABLE_PROVIDERS["convproof"] = f"{Uniform.__module__}.{Uniform.__name__}"


def drawn(strategy: SearchStrategy[Any], count: int, seed: int) -> list[Any]:
    """So many values of a strategy of whole numbers and choices, the same for the same seed."""
    found: list[Any] = []
    Uniform.source.seed(seed)

    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        backend="convproof",
    )
    @hypothesis.given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


@contextmanager
def no_files() -> Iterator[None]:
    """Hypothesis keeps its notes in a folder that goes away, not in the user's."""
    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)
