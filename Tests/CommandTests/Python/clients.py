"""Opens every view of a log with sqlite3, pandas and Datasette. Usage: clients.py LOG"""

import asyncio
import sqlite3
import sys

import pandas
from datasette.app import Datasette

log = sys.argv[1]
connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
views = [
    name
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name"
    )
]
counts = {view: connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in views}


async def datasette():
    server = Datasette([log], settings={"sql_time_limit_ms": 20_000})
    name = log.rsplit("/", 1)[-1].removesuffix(".db")
    for view in views:
        answer = await server.client.get(f"/{name}/{view}.json?_size=max&_shape=array")
        assert answer.status_code == 200, (view, answer.text)
        assert len(answer.json()) == min(counts[view], 1000), view
        page = await server.client.get(f"/{name}/{view}")
        assert page.status_code == 200, (view, page.text)


for view in views:
    frame = pandas.read_sql(f"SELECT * FROM {view}", connection)
    assert len(frame) == counts[view], view
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({view})")]
    assert list(frame.columns) == columns, view
asyncio.run(datasette())
for view in views:
    print(view, counts[view])
