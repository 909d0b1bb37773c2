"""The tree of all 38 provinces in a few arrays: real provinces, regencies by number and stations, the rest made up.

Jakarta is real down to its stations. Elsewhere districts and villages are as many as there are, about, and of
realistic sizes; their names say that they are made up. The tree is the same in every simulated night.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

from extract import jakarta
from extract.draws import apportioned, draw, key, uniform
from extract.endpoints import NATIONAL, Level, level_of
from extract.provinces import Province, all_provinces

_FIRST_CITY = 71  # in Kemendagri's codes, within a province
_FIRST_VILLAGE = {False: 2001, True: 1001}  # villages (desa) and those of towns (kelurahan), within a district
_JAKARTA = "31"


class Country:
    """Regions by code. A district is known by its place in the order of codes, and so are villages and stations.

    `villages[d]` to `villages[d + 1]` are the places of a district's villages, and `stations` likewise its stations'.
    """

    def __init__(self) -> None:
        self.districts = array("I")  # codes, as numbers
        self.villages = array("I", [0])
        self.stations = array("I", [0])
        self.sizes = array("H")  # stations in each village
        self.specials = array("B")  # those among them that are numbered from 901
        self._suffixes = array("H")  # the last four digits of each village
        self._names = {NATIONAL: "INDONESIA"}
        self._ranges: dict[str, range] = {}  # districts by region
        self._below: dict[str, list[str]] = {NATIONAL: []}  # codes of provinces and regencies by what they lie in
        for province in all_provinces():
            self._below[NATIONAL].append(province.code)
            self._names[province.code] = province.name
            first = len(self.districts)
            (self._add_jakarta if province.code == _JAKARTA else self._make_up)(province)
            self._ranges[province.code] = range(first, len(self.districts))
        self._ranges[NATIONAL] = range(len(self.districts))

    def within(self, code: str) -> range:
        """The places of the districts in a region, or of the one that it lies in. Raises KeyError if there is none."""
        if len(code) < 6:
            return self._ranges[code]
        place = bisect_left(self.districts, wanted := int(code[:6]))
        if self.districts[place : place + 1] != array("I", [wanted]):
            raise KeyError(code)
        return range(place, place + 1)

    def village_at(self, code: str) -> int:
        """The place of a village, or of the one that a station lies in. Raises KeyError if there is none."""
        (district,) = self.within(code)
        first, last = self.villages[district : district + 2]
        place = bisect_left(self._suffixes, wanted := int(code[6:10]), first, last)
        if place == last or self._suffixes[place] != wanted:
            raise KeyError(code)
        return place

    def station_at(self, code: str) -> int:
        """The place of a station within its village. Raises KeyError if there is none."""
        village, number = self.village_at(code), int(code[10:])
        regular = self.sizes[village] - self.specials[village]
        if 1 <= number <= regular:
            return number - 1
        if jakarta.SPECIAL <= number < jakarta.SPECIAL + self.specials[village]:
            return regular + number - jakarta.SPECIAL
        raise KeyError(code)

    def children(self, code: str) -> list[str]:
        """The codes right below a region; none below a station. Raises KeyError if there is no such region."""
        match level_of(code):
            case "national" | "province":
                return self._below[code]
            case "regency":
                return [f"{self.districts[place]}" for place in self.within(code)]
            case "district":
                (district,) = self.within(code)
                return [self.village_code(district, place) for place in self.villages_of(district)]
            case "village":
                return [f"{code}{number:03}" for number in self._numbers(self.village_at(code))]
            case _:
                self.station_at(code)
                return []

    def villages_of(self, district: int) -> range:
        """The places of a district's villages."""
        return range(*self.villages[district : district + 2])

    def village_code(self, district: int, village: int) -> str:
        """The code of the village at this place."""
        return f"{self.districts[district]}{self._suffixes[village]:04}"

    def size(self, code: str) -> int:
        """How many stations a region has; a station is one."""
        match level_of(code):
            case "village":
                return self.sizes[self.village_at(code)]
            case "tps":
                return 1
            case _:
                places = self.within(code)
                return self.stations[places.stop] - self.stations[places.start]

    def has(self, code: str) -> bool:
        """Whether there is such a region or station."""
        try:
            return code.isdecimal() and self.children(code) is not None
        except KeyError:
            return False

    def is_city(self, code: str) -> bool:
        """Whether a region lies in a city (kota), by its regency's number."""
        return int(code[2:4]) >= _FIRST_CITY

    def places(self, code: str) -> range:
        """The places of a village's or a station's stations within its district."""
        village = self.village_at(code)
        (district,) = self.within(code)
        first = sum(self.sizes[self.villages[district] : village])
        if len(code) == 10:
            return range(first, first + self.sizes[village])
        return range(place := first + self.station_at(code), place + 1)

    def code_at(self, district: int, place: int, level: Level) -> str:
        """The code of the village or station at a station's place within its district."""
        for village in self.villages_of(district):
            if place < self.sizes[village]:
                code = self.village_code(district, village)
                return code if level == "village" else f"{code}{self._numbers(village)[place]:03}"
            place -= self.sizes[village]
        raise IndexError(place)

    def special_places(self, district: int) -> frozenset[int]:
        """The places of a district's stations that are numbered from 901."""
        places: set[int] = set()
        first = 0
        for village in self.villages_of(district):
            first += self.sizes[village]
            places.update(range(first - self.specials[village], first))
        return frozenset(places)

    def number(self, code: str) -> int:
        """A made-up number for KPU's internal one; no two regions or stations have the same."""
        match level_of(code):
            case "national" | "province" | "regency":
                return int(code)
            case "district":
                return 10_000 + self.within(code).start
            case "village":
                return 100_000 + self.village_at(code)
            case _:
                return 1_000_000 + self.stations[self.within(code).start] + self.places(code).start

    def name(self, code: str) -> str:
        """What a region is called: Jakarta's and the provinces' as they are, others say that they are made up."""
        return self._names.get(code) or (f"TPS {code[10:]}" if len(code) == 13 else f"REKAAN {code}")

    def codes(self, level: Level, within: str = NATIONAL) -> Iterator[str]:
        """The codes of a level in a region, in order."""
        if level == level_of(within):
            yield within
        else:
            for child in self.children(within):
                yield from self.codes(level, child)

    def _numbers(self, village: int) -> list[int]:
        special = self.specials[village]
        regular = self.sizes[village] - special
        return [*range(1, regular + 1), *range(jakarta.SPECIAL, jakarta.SPECIAL + special)]

    def _add_jakarta(self, province: Province) -> None:
        self._below[province.code] = []
        for row in jakarta.figures("dki-kelurahan.csv"):
            self._names |= {row[f"{level}_code"]: row[f"{level}_name"] for level in ("kab", "kec", "kel")}
            if row["kab_code"] not in self._below[province.code]:
                self._below[province.code].append(row["kab_code"])
            if int(row["kec_code"]) not in self.districts[-1:]:
                self._add_district(row["kec_code"])
            self._add_village(int(row["kel_code"][6:]), int(row["tps"]), int(row["special_tps"]))
        for code in self._below[province.code]:
            places = [place for place, district in enumerate(self.districts) if f"{district}".startswith(code)]
            self._ranges[code] = range(places[0], places[-1] + 1)

    def _make_up(self, province: Province) -> None:
        """A province's regencies, districts, villages and stations, as many as it has, in realistic sizes."""
        stream = key("country", province.code)
        rural = province.regencies - province.cities
        numbers = [*range(1, rural + 1), *range(_FIRST_CITY, _FIRST_CITY + province.cities)]
        codes = self._below[province.code] = [f"{province.code}{number:02}" for number in numbers]
        shares = [uniform(stream, place, 0.4, 1.6) for place in range(len(codes))]
        counts = apportioned(province.districts, [share**0.5 for share in shares], least=2)
        weights = [
            share / count * uniform(draw(stream, place), number, 0.5, 1.5)
            for place, (share, count) in enumerate(zip(shares, counts, strict=True))
            for number in range(count)
        ]
        villages = apportioned(province.villages, [weight**0.5 for weight in weights], least=1)
        more = apportioned(province.stations - province.villages, weights)  # beside the first of every village
        sizes = iter(zip(villages, map(int.__add__, villages, more), strict=True))
        for code, count in zip(codes, counts, strict=True):
            is_city = self.is_city(code)
            self._names[code] = f"{'KOTA ' if is_city else ''}REKAAN {code}"
            first = len(self.districts)
            for number in range(1, count + 1):
                self._fill(f"{code}{number:02}", *next(sizes), is_city=is_city)
            self._ranges[code] = range(first, len(self.districts))

    def _fill(self, code: str, villages: int, stations: int, *, is_city: bool) -> None:
        """A district's villages; in the first of a city is a prison, if it has more than one station."""
        self._add_district(code)
        stream = key("villages", code)
        sizes = apportioned(stations, [uniform(stream, place, 0.3, 1.7) for place in range(villages)], least=1)
        for number, size in enumerate(sizes):
            has_prison = is_city and number == 0 and code.endswith("01") and size > 1
            self._add_village(_FIRST_VILLAGE[is_city] + number, size, int(has_prison))

    def _add_district(self, code: str) -> None:
        self.districts.append(int(code))
        self.villages.append(self.villages[-1])
        self.stations.append(self.stations[-1])

    def _add_village(self, suffix: int, stations: int, special: int) -> None:
        self._suffixes.append(suffix)
        self.sizes.append(stations)
        self.specials.append(special)
        self.villages[-1] += 1
        self.stations[-1] += stations


@cache
def country() -> Country:
    """The one country, made when it is first asked for: half a second."""
    return Country()
