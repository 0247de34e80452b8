"""Run in a child process: read files of weights under limits of memory and time, report each.

    python guarded_reader.py FILE...                 read these files
    python guarded_reader.py --mutants N SEED FILE   read N mutants of one file

Prints a JSON object a file: its name, what came of it, and how much the memory grew.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from pathlib import Path

from ovseg.errors import CheckpointError
from ovseg.weights.read import read_state_dict

SPARE = 48 << 20


def main(words: list[str]) -> None:
    torch_needs = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (torch_needs + (2 << 30), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
    if words[0] == "--mutants":
        mutants(int(words[1]), int(words[2]), Path(words[3]))
    else:
        for word in words:
            report(Path(word), Path(word).name)


def mutants(count: int, seed: int, whole: Path) -> None:
    rng, data = random.Random(seed), whole.read_bytes()
    target = whole.with_name("mutant" + whole.suffix)
    for number in range(count):
        target.write_bytes(mutant(data, rng))
        report(target, f"{whole.name} {seed}:{number}")


def mutant(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy: bytes changed, left out, put in, doubled, or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place] = rng.choice(b"()RbcQ\x81\x85\x93}]0N.qrhjXBJ\x8a\xff\x00")
        elif kind == 2:
            del changed[place : place + rng.randint(1, 8)]
        elif kind == 3:
            changed[place:place] = rng.randbytes(rng.randint(1, 8))
        elif kind == 4:
            changed[place:place] = changed[place : place + rng.randint(1, 64)]
        elif rng.random() < 0.2:
            del changed[place:]
        if not changed:
            return b"\x80"
    return bytes(changed)


def report(path: Path, name: str) -> None:
    before = peak()
    try:
        read_state_dict(path)
        outcome = "read"
    except CheckpointError as error:
        outcome = f"refused: {error}"
    except BaseException as error:
        outcome = f"unexpected {type(error).__name__}: {error}"
    grown = peak() - before
    fits = grown <= 2 * path.stat().st_size + SPARE
    print(json.dumps({"name": name, "outcome": outcome, "fits": fits, "grown": grown}), flush=True)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
