"""Opens the directory that examples/c/durable.c writes to, and counts the orders in it.

    python durable.py DIRECTORY

Fails unless the orders are 0, 1, 2 and so on without a gap, each with the value it was given. Prints
what was found as `name value` lines, with what opening the directory had to do.
"""

from __future__ import annotations

import sys

import libkv


def main(directory: str) -> int:
    try:
        store = libkv.open(directory, create=False)
    except libkv.LockedError:
        print("another process has it open", file=sys.stderr)
        return 1
    except libkv.CorruptError as damage:
        # The message names the file and the place in it.
        print(damage, file=sys.stderr)
        return 1
    with store:
        count = len(store)
        for number in range(count):
            value = store.get(f"order:{number}")
            if value != f"{number % 10} books".encode():
                print(f"order {number} is {value!r}", file=sys.stderr)
                return 1
        print("orders", count)
        for name, found in store.recovery._asdict().items():
            print(name, found)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
