"""What an archive holds is known in little memory, and nothing is taken for something else."""

import hashlib
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from extract.index import Bodies, Captures, Place, Table

NIGHT = datetime(2024, 11, 28, 2, 0, 0, tzinfo=UTC)


@given(st.lists(st.tuples(st.binary(min_size=3, max_size=3), st.binary(min_size=2, max_size=2))), st.binary(max_size=3))
def test_a_table_is_a_dict(pairs: list[tuple[bytes, bytes]], pattern: bytes) -> None:
    """Also of keys that repeat themselves and lie across two records: here they have few different bytes."""
    table, known = Table(2), dict[bytes, bytes]()
    for head, value in pairs:
        key = b"\0\0" + (head + pattern + bytes(14))[:14]
        if key not in known:
            known[key] = value
            table.add(key, value)
        assert table.find(key) == known[key]
        assert table.find(key[:-1] + b"\xff") is None
    assert len(table) == len(known)


def test_captures_differ_by_address_moment_and_digest_and_not_by_time_zone() -> None:
    captures, key = Captures(), ("https://kpu/31.json", NIGHT, "sha256:" + "0" * 64)
    captures.add(key)
    captures.add(key)
    assert len(captures) == 1
    assert key in captures
    assert (key[0], NIGHT.astimezone(timezone(timedelta(hours=7))), key[2]) in captures
    assert (key[0] + "l", *key[1:]) not in captures
    assert (key[0], NIGHT + timedelta(microseconds=1), key[2]) not in captures
    assert (*key[:2], key[2][:-1] + "1") not in captures


def test_a_body_lies_where_it_was_found_first_whatever_its_digest_looks_like() -> None:
    bodies, digests = (
        Bodies(),
        [f"sha256:{'0' * 63}{n}" for n in range(1)] + ["", "sha256:", "md5:1", "\ud800", "00" * 16],
    )
    for number, digest in enumerate(digests):
        bodies.add(digest, Place(f"{number // 2}.jsonl.zst", 1 << 40, number))
        bodies.add(digest, Place("later", 0, 0))
    assert [bodies.get(digest) for digest in digests] == [
        Place(f"{number // 2}.jsonl.zst", 1 << 40, number) for number in range(len(digests))
    ]
    assert "sha256:" + "1" * 64 not in bodies
    assert bodies.get("sha512:1") is None
    assert len(bodies) == len(digests)


def test_two_hundred_thousand_captures_with_their_bodies_take_less_than_26_megabytes() -> None:
    captures, bodies = Captures(), Bodies()
    tracemalloc.start()
    for number in range(200_000):
        digest = "sha256:" + hashlib.sha256(b"%d" % number).hexdigest()
        captures.add((f"https://kpu/{number}.json", NIGHT, digest))
        bodies.add(digest, Place("20241128T030012Z-7f3a21.jsonl.zst", number << 8, number % 256))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 200_000 * 130  # of which 50 are for the buckets, however many captures there are
