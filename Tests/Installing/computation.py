"""A small job on a cluster of processes, as a user writes it."""

from dask.distributed import Client


def square(number: int) -> int:
    return number * number


if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        squares = client.map(square, range(20))
        assert client.submit(sum, squares).result() == 2470
