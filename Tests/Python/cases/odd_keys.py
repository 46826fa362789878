"""Keys that are not plain text, empty, very long, or two types with the same text."""

import json
from collections import Counter

from distributed import Client, wait

KEYS = [
    "", " ", "a\0b", "🦜-1", "\u202eright-to-left\u202c-1", "\x1b[31mred\x1b[0m-1",
    "<img src=x onerror=document.title='pwned'>-1", "line1\nline2-1", "tab\there",
    "it's \"quoted\"", 0, -1, 2**70, 1.5, float("inf"), ("x", 1), "('x', 1)",
    ("x", 2.5, ("deep", -3)), ("solo",), "1", 1, "*", "[a]-1", "-lead", "--key", "%s{}%d", "é" * 10,
    "k" * 200_000, "';DROP TABLE event;--", "\u2028sep-1", ("t", "\0", ""), "None", "null",
    '{"$tuple": [1]}',
]  # fmt: skip
#: Keys that Dask cannot send, and a key that is not equal to itself.
WORSE = ["con-\ud800", ("nan", float("nan"))]


def work(x: int) -> int:
    return x


if __name__ == "__main__":
    with Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:
        alone = Counter()
        for number, key in enumerate([*KEYS, *WORSE]):
            try:
                alone[client.submit(work, number, key=key).result() == number] += 1
            except Exception as error:
                alone[type(error).__name__] += 1
        together = [client.submit(work, number, key=key) for number, key in enumerate(KEYS)]
        wait(together)
        print(json.dumps({"alone": alone, "together": Counter(f.status for f in together)}))
