"""Named jobs: what is submitted within a block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

#: The annotation of tasks that holds the name.
ANNOTATION = "tasklog_job"
_LONGEST = 200


@contextmanager
def job(name: str) -> Iterator[None]:
    """Tasks that are submitted within the block belong to a named job.

    The name is carried by an annotation of the tasks. Those that such a task submits itself, as
    with `distributed.worker_client`, belong to the job, too. Of nested blocks the inner one counts.
    Without a recorder nothing happens. Usable as a decorator as well.

    Parameters
    ----------
    name : str
        The name of the job, of 1 to 200 characters. Several blocks of one name are one job.

    Raises
    ------
    ValueError
        If the name is empty or too long.

    Examples
    --------
    >>> with tasklog.job("etl"):  # doctest: +SKIP
    ...     futures = client.map(load, files)
    """
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST:
        raise ValueError(f"expected a name of 1 to {_LONGEST} characters, not {name!r:.100}")
    import dask

    with dask.annotate(**{ANNOTATION: name}):
        yield
