"""How long does DuckDB take for the segment query of `adloupe bench explore`? explore.py LOG.parquet THREADS

Prints the best of seven seconds for its own table in memory, then for the Parquet file, then the sum of clicks."""
import sys
import time

import duckdb

path, threads = sys.argv[1], int(sys.argv[2])
# The groups of two columns under a filter, each rate with Wilson's 95 % interval.
QUERY = """
with g as (
  select c0, c5, count(*)::double n, sum(click)::double k from {source}
  where c1 in (0, 1, 2) and c2 <> 3 group by c0, c5
)
select c0, c5, n, k, k / n p,
  (k / n + 1.9207 / n - 1.96 * sqrt(k / n * (1 - k / n) / n + 0.9604 / (n * n))) / (1 + 3.8415 / n),
  (k / n + 1.9207 / n + 1.96 * sqrt(k / n * (1 - k / n) / n + 0.9604 / (n * n))) / (1 + 3.8415 / n)
from g order by n desc
"""


def best(connection, source):
    query, seconds = QUERY.format(source=source), []
    for _ in range(7):
        begun = time.perf_counter()
        rows = connection.execute(query).fetchall()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), sum(row[3] for row in rows)


connection = duckdb.connect()
connection.execute(f"set threads = {threads}")
connection.execute(f"create table log as select * from '{path}'")
table, clicks = best(connection, "log")
file, _ = best(connection, f"'{path}'")
print(table, file, int(clicks))
