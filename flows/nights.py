"""The simulated nights that commands play: Jakarta's, or the country's."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cyclopts import Parameter

from extract.errors import UsageError

if TYPE_CHECKING:
    from extract.national import NationalNight, NationalSimulation
    from extract.night import Night
    from extract.simulator import Simulation

_JAKARTA = 77  # publications of the real night, 15:00 to 10:00:05


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SimulatedNight:
    """Which night is simulated."""

    seed: int = 2024
    """Of a simulated night: same seed, same night."""

    lag: int = 0
    """Of a simulated night: publications by which each level above the districts is late."""

    revisions: float = 0.01
    """Of a simulated night: share of stations whose first figures are revised."""

    withdrawal: bool = False
    """Of a simulated night: end it as KPU did: every vote becomes 0."""

    country: bool = False
    """Simulate all provinces and both contest types instead of Jakarta's governor."""

    within: list[str] = field(default_factory=list)
    """Of the country: a province that takes part, such as 31; without any, all. May be given several times."""

    cycles: int = _JAKARTA
    """Of the country: how many publications the count lasts."""

    def night(self, *, slips: float = 0.0, swaps: float = 0.0) -> "Night | NationalNight":
        """The night with these options. Raises UsageError where they do not fit together."""
        if self.country:
            from extract.national import NationalNight

            if slips or swaps:
                raise UsageError("--slips and --swaps are simulated in Jakarta's night, not in the country's")
            return NationalNight(
                seed=self.seed,
                cycles=self.cycles,
                within=tuple(self.within),
                revisions=self.revisions,
                lag=self.lag,
                withdrawal=self.withdrawal,
            )
        from extract.night import Night

        if self.within or self.cycles != _JAKARTA:
            raise UsageError(f"--within and --cycles need --country; Jakarta's night has {_JAKARTA} publications")
        return Night(
            seed=self.seed,
            revisions=self.revisions,
            slips=slips,
            swaps=swaps,
            lag=self.lag,
            withdrawal=self.withdrawal,
        )


def simulation_of(night: "Night | NationalNight") -> "Simulation | NationalSimulation":
    """The simulation of a night."""
    from extract.national import NationalNight, NationalSimulation
    from extract.simulator import Simulation

    return NationalSimulation(night) if isinstance(night, NationalNight) else Simulation(night)
