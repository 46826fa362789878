// Builds the page: first what is visible, then what can be looked up.

import { byID, bytes, clock, duration, make, percent, plain, plural, theme, whole } from "./theme.js";
import { page, yieldToBrowser } from "./data.js";
import { Side, sideTitle } from "./side.js";
import { readResources } from "./resources.js";
import { Timeline } from "./timeline.js";
import { PointerController } from "./pointer.js";
import { detailNotes, panels } from "./panels.js";
import { inspector } from "./inspector.js";
import { Search } from "./search.js";

/** @param {import("./side.js").Side[]} sides */
function tiles(sides) {
  /**
   * @param {string} name
   * @param {(side: Side) => string} of
   * @param {(side: Side) => string} note
   * @param {(side: Side) => boolean} isBad
   */
  const tile = (name, of, note, isBad = () => false) => {
    const lines = sides.map((side) => make("div", { class: "value" },
      ...(sides.length > 1 ? [make("b", { class: "letter" }, side.letter)] : []),
      make("strong", { class: isBad(side) ? "bad" : undefined }, of(side)),
      make("small", {}, note(side))));
    return make("div", { class: sides.length > 1 ? "tile both" : "tile" }, make("span", {}, name), ...lines);
  };
  /** @type {Record<string, string>} */
  const ends = { closed: "", died: "died", running: "still running" };
  const shown = [
    tile("Duration", (side) => duration(side.length),
      (side) => side.runs.map((run) => ends[run.end]).filter(Boolean).join(", ")
        || clock(side, side.first, 0).replace(/\.$/, "") + " UTC",
      (side) => side.runs.some((run) => run.end === "died")),
    tile("Tasks", (side) => whole(side.totals().tasks), (side) => `${whole(side.totals().events)} events`),
    tile("Failed", (side) => whole(side.totals().failed), (side) => {
      const { failed, affected } = side.totals();
      return affected ? `and ${whole(affected)} because of them` : failed ? "" : "none";
    }, (side) => side.totals().failed > 0),
    tile("Workers", (side) => whole(side.totals().workers), (side) => plural(side.totals().threads, "thread")),
    tile("Busy", (side) => percent(side.totals().share), (side) => `${duration(side.totals().compute)} computed`),
    tile("Transfers", (side) => duration(side.totals().fetched), (side) => plural(side.totals().fetches, "transfer")),
    tile("Results", (side) => bytes(side.totals().held), () => "in memory at most"),
  ];
  if (sides.some((side) => side.totals().missing)) {
    shown.push(tile("Missing", (side) => whole(side.totals().missing),
      (side) => (side.gaps.length ? `events in ${plural(side.gaps.length, "gap")}` : ""),
      (side) => side.totals().missing > 0));
  }
  byID("tiles").replaceChildren(...shown);
}

/** @param {import("./side.js").Side[]} sides */
function titles(sides) {
  const names = sides.map(sideTitle);
  const text = sides.length > 1 ? `${sides[0].name} and ${sides[1].name}` : sides[0].name;
  byID("title").textContent = text;
  const start = (/** @type {Side} */ side) =>
    new Date((side.origin + side.first) / 1000).toISOString().slice(0, 19).replace("T", " ");
  byID("subtitle").textContent = sides.length > 1
    ? sides.map((side) => `${side.letter}: ${side.runs.map((run) => `run #${run.number}`).join(", ")}`).join("   ")
    : `${names[0].split(" · ").slice(1).join(" · ")} · ${start(sides[0])} UTC`;
  document.title = `${text} · tasklog`;
}

async function start() {
  theme.set("auto");
  byID("theme").addEventListener("click", () => theme.next());
  byID("help-button").addEventListener("click", () => /** @type {HTMLDialogElement} */ (byID("help")).showModal());
  const sides = page.names.map((name, place) =>
    new Side(place, plain(name), JSON.parse(byID(`document-${place}`).textContent)));
  titles(sides);
  byID("notices").replaceChildren(
    ...sides.flatMap((side) => detailNotes(side)).map((text) => make("p", { class: "notice" }, text)));
  for (const side of sides) {
    await side.readSpans();
    await side.readSeries();
  }
  const timeline = new Timeline(sides);
  const repaint = () => {
    timeline.readColours();
    timeline.drawLegend();
    timeline.layout();
  };
  theme.changed = repaint;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme.read();
    repaint();
  });
  new PointerController(timeline);
  /** @type {Record<string, () => void>} */
  const acts = {
    in: () => timeline.view.zoom(0.5, undefined, true),
    out: () => timeline.view.zoom(2, undefined, true),
    fit: () => timeline.view.fit(),
  };
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-do]"))) {
    button.addEventListener("click", acts[button.dataset.do]);
  }
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const painted = performance.now();
  byID("loading").textContent = "Reading the tables…";
  for (const side of sides) {
    await yieldToBrowser();
    await readResources(side);
    timeline.redraw();
    await side.readTasks();
  }
  const search = new Search(timeline);
  tiles(sides);
  await yieldToBrowser();
  for (const side of sides) await side.readStories();
  panels.start(timeline);
  timeline.redraw();
  byID("loading").hidden = true;
  document.documentElement.dataset.ready = "true";
  // For tests and benchmarks of the page.
  window.tasklogReport = { timeline, sides, panels, inspector, search, theme, painted, ready: performance.now() };
}

start().catch((error) => {
  byID("loading").textContent = `This page cannot be read: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
