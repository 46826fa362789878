// Tables that can be sorted by any column.

import { make, whole } from "./theme.js";

const ROWS_AT_ONCE = 300;

/**
 * A table that the user can sort by any column.
 * @param {string} caption
 * @param {import("./types.js").Column[]} columns
 * @param {any[]} rows
 * @param {import("./types.js").TableOptions} [options]
 */
export function table(caption, columns, rows, options = {}) {
  const { sort = 0, descending = false, act, actLabel } = options;
  const state = { sort, descending, shown: ROWS_AT_ONCE };
  const body = make("tbody");
  const heads = columns.map((column, place) => {
    const button = make("button", { type: "button", onclick: () => {
      state.descending = state.sort === place ? !state.descending : Boolean(column.number);
      state.sort = place;
      fill();
    } }, column.name);
    return make("th", { scope: "col", class: column.number ? "number" : undefined }, button);
  });
  const more = make("button", { type: "button", class: "more", hidden: true, onclick: () => {
    state.shown += 1000;
    fill();
  } });
  function fill() {
    const { get } = columns[state.sort];
    const sorted = rows.map((row) => [get(row), row]);
    sorted.sort(([a], [b]) => {
      if (a === b) return 0;
      // What has no value comes last in both directions.
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      return (a < b ? -1 : 1) * (state.descending ? -1 : 1);
    });
    heads.forEach((head, place) => {
      if (place === state.sort) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...sorted.slice(0, state.shown).map(([, row]) => line(row)));
    const left = rows.length - state.shown;
    more.hidden = left <= 0;
    more.textContent = `Show more: ${whole(left)} rows are not shown`;
  }
  /** @param {import("./rows.js").Row} row */
  function line(row) {
    const cells = columns.map((column, place) => {
      const value = column.show ? column.show(column.get(row), row) : column.get(row);
      const content = value instanceof Node ? value : document.createTextNode(value ?? "");
      const cell = make(place === 0 ? "th" : "td", {
        scope: place === 0 ? "row" : undefined,
        class: [column.number ? "number" : "", column.wide ? "wide" : ""].join(" ").trim() || undefined
      });
      if (place === 0 && act)
        cell.append(
          make("button", { type: "button", class: "link", title: actLabel, onclick: () => act(row) }, content));
      else cell.append(content);
      return cell;
    });
    return make("tr", {}, ...cells);
  }
  fill();
  return make("div", { class: "tablebox" },
    make(
      "table", {}, make("caption", { class: "hidden" }, caption), make("thead", {}, make("tr", {}, ...heads)), body),
    more);
}

/**
 * Text with a bar for its share.
 * @param {string} text
 * @param {number} share
 * @param {string} colour
 */
export function bar(text, share, colour) {
  const element = make("span", { class: "bar" }, text);
  element.style.setProperty("--share", `${Math.max(0, Math.min(1, share)) * 100}%`);
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}
