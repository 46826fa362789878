// The longest spans of work.

/**
 * The longest spans for which a condition on their outcome holds, the longest first.
 * @param {import("./side.js").Side} side
 * @param {number} limit
 * @param {(outcome: number, isOther: boolean) => boolean} condition
 */
export function slowestSpans(side, limit, condition) {
  const found = [];
  let least = -1;
  for (const lane of side.lanes) {
    for (const row of [lane.compute, lane.others]) {
      for (let i = 0; i < row.count; i++) {
        const length = row.stop[i] - row.start[i];
        if (length <= least || !condition(row.what[i] & 3, row === lane.others)) continue;
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
  return found.slice(0, limit).map(({ lane, row, i }) => side.span(lane, row, i));
}
