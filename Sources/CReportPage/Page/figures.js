// Figures of a side that the tiles and tables show.

/** What became of the tasks of each prefix; the same figures as `tasklog summary`. */
Side.prototype.prefixFigures = function () {
  if (this.prefixRows) return this.prefixRows;
  const rows = this.prefixes.map((name) => ({ name, tasks: 0, done: 0, failed: 0, retried: 0, nbytes: 0, compute: 0, spans: [] }));
  const isFailed = new Set(this.failedTasks());
  for (let task = 0; task < this.count; task++) {
    // 254: the scheduler has not told of it.
    if (this.state[task] === 254 || !this.events[task]) continue;
    const row = rows[this.prefix[task]];
    row.tasks++;
    row.nbytes += this.nbytes[task];
    if (this.sent[task] > 1) row.retried++;
    if (isFailed.has(task)) row.failed++;
  }
  for (const { compute } of this.lanes) {
    for (let i = 0; i < compute.count; i++) {
      if ((compute.what[i] & 3) === OPEN) continue;
      const row = rows[this.prefix[compute.task[i]]];
      const length = compute.stop[i] - compute.start[i];
      row.compute += length;
      row.spans.push(length);
    }
  }
  for (const row of rows) {
    const lengths = Float64Array.from(row.spans).sort();
    row.runs = lengths.length;
    row.median = lengths.length ? lengths[Math.ceil(lengths.length * 0.5) - 1] : null;
    row.high = lengths.length ? lengths[Math.ceil(lengths.length * 0.95) - 1] : null;
    row.most = lengths.length ? lengths.at(-1) : null;
    delete row.spans;
  }
  return (this.prefixRows = rows.filter((row) => row.tasks));
};

/** Tasks that erred, ever. */
Side.prototype.failedTasks = function () {
  const found = this.failures.rows.map(([task]) => task);
  for (const [task] of this.failures.affected) found.push(task);
  const erred = this.states.indexOf("erred");
  for (let task = 0; task < this.count; task++) if (this.state[task] === erred) found.push(task);
  return [...new Set(found)];
};

Side.prototype.totals = function () {
  if (this.totalFigures) return this.totalFigures;
  const prefixes = this.prefixFigures();
  const sum = (name) => prefixes.reduce((total, row) => total + row[name], 0);
  const threads = this.workers.reduce((total, worker) => total + Math.max(worker.nthreads ?? 0, worker.lanes.filter((lane) => lane.known).length), 0);
  let capacity = 0;
  for (const worker of this.workers) {
    const from = worker.joined ?? this.first;
    capacity += Math.max(0, (worker.left ?? this.last) - from) * Math.max(1, worker.nthreads ?? worker.lanes.length);
  }
  let fetched = 0;
  let fetches = 0;
  for (const { others } of this.lanes) {
    for (let i = 0; i < others.count; i++) {
      if (this.actions[others.what[i] >> 2] !== "transfer") continue;
      fetched += others.stop[i] - others.start[i];
      fetches++;
    }
  }
  const held = summed(this.workers.map((worker) => worker.series), 1).values[0].reduce((a, b) => Math.max(a, b), 0);
  return (this.totalFigures = {
    tasks: sum("tasks"), failed: this.failures.count, affected: this.failures.affectedCount,
    compute: sum("compute"), threads, share: capacity ? sum("compute") / capacity : 0,
    fetched, fetches, held, missing: this.gaps.reduce((total, gap) => total + gap.count, 0),
    events: this.runs.reduce((total, run) => total + run.events, 0),
  });
};

/** The longest spans of computing. */
Side.prototype.slowest = function (limit) {
  const found = [];
  let least = -1;
  for (const lane of this.lanes) {
    for (const row of [lane.compute, lane.others]) {
      for (let i = 0; i < row.count; i++) {
        const length = row.stop[i] - row.start[i];
        if (length <= least) continue;
        found.push({ lane, row, i, length });
        if (found.length > limit * 4) {
          found.sort((a, b) => b.length - a.length);
          found.length = limit;
          least = found.at(-1).length;
        }
      }
    }
  }
  found.sort((a, b) => b.length - a.length);
  return found.slice(0, limit).map(({ lane, row, i }) => this.span(lane, row, i));
};

/** What each worker did. */
Side.prototype.workerFigures = function () {
  return this.workers.map((worker) => {
    let [spans, compute, fetched] = [0, 0, 0];
    for (const lane of worker.lanes) {
      for (let i = 0; i < lane.compute.count; i++) {
        if ((lane.compute.what[i] & 3) === OPEN) continue;
        compute += lane.compute.stop[i] - lane.compute.start[i];
        spans++;
      }
      for (let i = 0; i < lane.others.count; i++) fetched += lane.others.stop[i] - lane.others.start[i];
    }
    const life = (worker.left ?? this.last) - (worker.joined ?? this.first);
    const threads = Math.max(1, worker.nthreads ?? worker.lanes.length);
    const most = (figure) => worker.series.values[figure].reduce((a, b) => Math.max(a, b), 0);
    return { worker, spans, compute, fetched, share: life > 0 ? compute / life / threads : 0, given: most(0), held: most(1) };
  });
};
