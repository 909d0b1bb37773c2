"""Bodies gone wrong, each from a seed: bytes damaged on the way, and JSON whose nodes were taken, put, renamed, moved.

The same seed spoils the same body in the same way, on every machine: a failing case is named by its number.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

HOSTILE_TEXTS = (
    "", "\0", "\x1b[2J", "\u202e", "\ufeff", "\u00a0", "'; DROP TABLE core.tally; --", "../../../etc/passwd", "..",
    "%s%n", "{{7*7}}", "<script>alert(1)</script>", "&xxe;", "null", "NaN", "-0", "1e999", "0x1F", "\u0663\u0661",
    "N" * 5_000, "hhcw", "hr", "2024-11-28 02:15:00", "9999-12-31 23:59:59", "3101", "3101011001001",
    "31/../32", "Reguler",
)  # fmt: skip
"""Texts that steer something somewhere: terminals, SQL, templates, paths, pages, and number parsers."""

HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 600, 2**31, 2**63, 2**64, 10**30, -(10**30), 1.5, -0.0, 1e308, [], {}, [[]],
    {"": None}, *HOSTILE_TEXTS,
)  # fmt: skip

KEYS = (
    "mode", "tungsura", "chart", "table", "progres", "persen", "total", "psu", "ts", "administrasi", "suara_sah",
    "images", "status_suara", "status_progress", "null", "nama", "kode", "id", "nomor_urut", "url_formd", "0", "31",
    "3101", "1000023", "100025", "__proto__", "", "\0", "'; --",
)  # fmt: skip

TOKENS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"NaN", b"-Infinity", b"1e999", b"\\u0000", b"\\ud800", b"\xff",
    b"\0", b"\xef\xbb\xbf", b"9" * 400, b'"a":', b"<", b"&#", b"\r\n", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08",
)  # fmt: skip
"""Bytes that mean something to some parser."""


def spoilt(body: bytes, chance: Random) -> bytes:
    """The bytes with one to four things wrong: flipped, taken out, put in, doubled, exchanged, or cut off."""
    text = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((1, 1, 2, 8, 64)))
        match chance.randrange(7):
            case 0 if end > start:
                text[start] ^= 1 << chance.randrange(8)
            case 1:
                del text[start:end]
            case 2:
                text[start:start] = chance.choice(TOKENS)
            case 3:
                text[start:start] = text[start:end]
            case 4:
                text[start:end] = chance.choice(TOKENS)
            case 5:
                other = chance.randint(0, len(text))
                text[start:end] = text[other : other + end - start]
            case 6 if chance.random() < 0.3:
                del text[start:]
    return bytes(text)


def mangled(content: Any, chance: Random) -> bytes:
    """JSON with one to four nodes taken, put, renamed or moved; sometimes a key stands twice."""
    copy = json.loads(json.dumps(content))
    for _ in range(chance.randint(1, 4)):
        if not (there := list(_holders(copy))):
            break
        holder, donor = chance.choice(there), chance.choice(there)
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(KEYS)] = holder.pop(key)
            case 2 if isinstance(holder, dict):
                holder[chance.choice(KEYS)] = chance.choice(HOSTILE_VALUES)
            case 3:
                moved = chance.choice(list(donor.values()) if isinstance(donor, dict) else donor)
                holder[key] = json.loads(json.dumps(moved))  # a copy: nothing holds itself
            case _:
                holder[key] = chance.choice(HOSTILE_VALUES)
    text = json.dumps(copy, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return _doubled(text, chance) if chance.random() < 0.1 else text


def cases(
    bodies: list[bytes], number: int, seed: int, spoil: Callable[[bytes, Random], bytes] = spoilt
) -> Iterator[tuple[int, bytes, bytes]]:
    """So many spoilt bodies: the number of the body, the body, and what became of it."""
    for case in range(number):
        chance = Random(f"{seed}:{case}")
        which = chance.randrange(len(bodies))
        yield which, bodies[which], spoil(bodies[which], chance)


def _doubled(text: bytes, chance: Random) -> bytes:
    """With the first keys of some object a second time, and other values."""
    places = [at for at, byte in enumerate(text) if byte == ord("{")]
    at = chance.choice(places) + 1 if places else 0
    key = json.dumps(chance.choice(KEYS)).encode()
    again = key + b":1," + key + b":[2]" + (b"" if text[at : at + 1] == b"}" else b",")
    return text[:at] + again + text[at:] if places else text


def _holders(content: Any) -> Iterator[Any]:
    """Every object and list that has something in it, from the outside in."""
    if isinstance(content, dict | list) and content:
        yield content
        for value in content.values() if isinstance(content, dict) else content:
            yield from _holders(value)
