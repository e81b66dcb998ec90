"""From measurements to figures: all rounds of one server at one load become one cell of a table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import Measurement
from benchmarks.workload import Kind

CURVE = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100)
"""The percentiles that a result keeps: enough to draw the distribution."""


@dataclass
class Cell:
    """All rounds of one server at one kind of request and one number of connections."""

    server: str
    kind: Kind
    connections: int
    rounds: list[Measurement] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Answers per second, one figure for each round."""
        return [measurement.completed / measurement.seconds for measurement in self.rounds]

    @property
    def latencies_ms(self) -> list[float]:
        """Of all requests of all rounds, in order."""
        return sorted(latency / 1000 for measurement in self.rounds for latency in measurement.latencies_us)

    def figures(self) -> dict[str, Any]:
        """The cell as JSON data: medians of the rounds, percentiles of all requests, CPU time for each answer."""
        latencies = self.latencies_ms
        return {
            "server": self.server,
            "request": self.kind,
            "connections": self.connections,
            "per_second": round(statistics.median(self.rates), 1),
            "per_second_by_round": [round(rate, 1) for rate in self.rates],
            **{f"p{name}_ms": percentile(latencies, value) for name, value in _NAMED},
            "curve_ms": [percentile(latencies, value) for value in CURVE],
            "server_cpu_us": self._per_answer([measurement.server_cpu_seconds for measurement in self.rounds]),
            "database_cpu_us": self._per_answer([measurement.database_cpu_seconds for measurement in self.rounds]),
            "generator_cpu_us": self._per_answer([measurement.generator_cpu_seconds for measurement in self.rounds]),
            "answers": sum(measurement.completed for measurement in self.rounds),
            "refused": sum(measurement.refused for measurement in self.rounds),
            "errors": sum(sum(measurement.errors.values()) for measurement in self.rounds),
        }

    def _per_answer(self, seconds: Sequence[float]) -> float:
        answers = sum(measurement.completed for measurement in self.rounds)
        return round(sum(seconds) * 1_000_000 / max(1, answers), 1)


_NAMED = (("50", 50), ("90", 90), ("99", 99), ("99_9", 99.9))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that `percent` of all stay within: nearest rank; 0 without any. `ordered` goes upwards."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * percent // 100))
    return round(ordered[int(rank) - 1], 4)
