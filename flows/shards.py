"""Shards: the country in parts that machines crawl side by side, each into an archive of its own.

A shard is a contest type in a province; what belongs to no province (the pairs, the list of provinces) is the shard
`0` of its contest type. The code of a document's region decides, so that every document has exactly one shard, and no
two loaders ever write the history of the same one.
"""

from functools import cache
from typing import Self

import msgspec

from extract.endpoints import CONTEST_TYPES, NATIONAL, ContestType, Endpoint
from extract.errors import UsageError
from extract.provinces import provinces


class Shard(msgspec.Struct, frozen=True, order=True):
    """A contest type in a province, or outside of all provinces (`0`)."""

    contest_type: ContestType
    province: str = NATIONAL

    @property
    def name(self) -> str:
        """What settings, archives and deployments call it, such as `pkwkp-31`."""
        return f"{self.contest_type}-{self.province}"

    @property
    def roots(self) -> tuple[str, ...]:
        """The regions that its crawl begins at; none outside of the provinces, where only lists are asked for."""
        return () if self.province == NATIONAL else (self.province,)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """The shard that a document belongs to."""
        return cls(endpoint.contest_type, endpoint.region[:2])  # a region's code begins with its province's

    @classmethod
    def named(cls, name: str) -> "Shard":
        """The shard of this name. Raises UsageError if there is none."""
        try:
            return _by_name()[name]
        except KeyError:
            raise UsageError(
                f"there is no shard {name!r}; it is a contest type and a province that votes in it, such as pkwkp-31, "
                "or pkwkp-0 for what belongs to no province"
            ) from None


def shards() -> tuple[Shard, ...]:
    """All shards of November 2024: 37 provinces for each contest type, and what belongs to none, which comes first."""
    return tuple(_by_name().values())


@cache
def _by_name() -> dict[str, Shard]:
    found = (
        Shard(contest_type, province)
        for contest_type in CONTEST_TYPES["pilkada-2024"]
        for province in (NATIONAL, *provinces(contest_type))
    )
    return {shard.name: shard for shard in found}
