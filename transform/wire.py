"""KPU's JSON as it travels, key for key. What it means is `normalise`'s business.

Charts and rows mix candidate ids with fixed keys, so their cells stay untyped here and are checked one by
one, with their exact place, where they are read.
"""

from typing import Any

import msgspec

Chart = dict[str, Any]
"""`{"1000023": 152235, …, "progres": {…}}`; at a station also the literal key `"null"`; in February `"persen"`."""

Table = dict[str, Any]
"""`{"317101": {"psu": …, "1000023": …, "progres": {…}, "status_progress": true}, …}`: one row per child."""


class Tungsura(msgspec.Struct, frozen=True):
    """The nesting of Pilkada's bodies."""

    chart: Chart | msgspec.UnsetType | None = msgspec.UNSET  # null is no votes yet; absent is another document
    table: Table | msgspec.UnsetType | None = msgspec.UNSET  # likewise of a region's children; a station has none
    administrasi: dict[str, Any] | None = None


class Count(msgspec.Struct, frozen=True):
    """A `hhcw` or `hr` document of any level; February's are flat, without `tungsura`."""

    mode: str | None = None
    tungsura: Tungsura | None = None
    chart: Chart | msgspec.UnsetType | None = msgspec.UNSET  # null is no votes yet; absent is another document
    table: Table | msgspec.UnsetType | None = msgspec.UNSET  # likewise of a region's children; a station has none
    administrasi: dict[str, Any] | None = None
    progres: dict[str, Any] | None = None
    psu: str | None = None
    ts: str | None = None
    images: list[str | None] | None = None
    status_suara: bool | None = None
    status_adm: bool | None = None
    url_formd: list[str | None] | None = None  # hr: the scanned recapitulation forms
    progress_d: Any = None  # hr: how many recapitulations are published, by level; known and not read
    progress_d_child: Any = None


class Wilayah(msgspec.Struct, frozen=True):
    """One child in a region list; a document is a list of them."""

    nama: str
    kode: str
    id: int | None = None
    tingkat: int | None = None


class Paslon(msgspec.Struct, frozen=True):
    """One pair; a document is `{region: {candidate_id: pair}}`, February's `{candidate_id: pair}`."""

    nama: str
    nomor_urut: int | None = None
    warna: str | None = None
    ts: str | None = None


ADMINISTRASI = {
    "pemilih_dpt_j": "registered_voters",
    "pemilih_dpt_l": "registered_male",
    "pemilih_dpt_p": "registered_female",
    "pengguna_dpt_j": "voters_dpt",
    "pengguna_dpt_l": "voters_dpt_male",
    "pengguna_dpt_p": "voters_dpt_female",
    "pengguna_dptb_j": "voters_dptb",
    "pengguna_dptb_l": "voters_dptb_male",
    "pengguna_dptb_p": "voters_dptb_female",
    "pengguna_non_dpt_j": "voters_non_dpt",
    "pengguna_non_dpt_l": "voters_non_dpt_male",
    "pengguna_non_dpt_p": "voters_non_dpt_female",
    "pengguna_total_j": "voters",
    "pengguna_total_l": "voters_male",
    "pengguna_total_p": "voters_female",
    "suara_sah": "valid_votes",
    "suara_tidak_sah": "invalid_votes",
    "suara_total": "ballots",
}
"""The 18 keys of a station's administration, and what we call them. j = total, l = men, p = women."""
