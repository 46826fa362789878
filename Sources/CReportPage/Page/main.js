// Puts the page together: first what can be seen, then what can be asked.

const page = JSON.parse(byID("about").textContent);

function tiles(sides) {
  const tile = (name, of, note, isBad = () => false) => {
    const lines = sides.map((side) => make("div", { class: "value" },
      ...(sides.length > 1 ? [make("b", { class: "letter" }, side.letter)] : []),
      make("strong", { class: isBad(side) ? "bad" : undefined }, of(side)),
      make("small", {}, note(side))));
    return make("div", { class: sides.length > 1 ? "tile both" : "tile" }, make("span", {}, name), ...lines);
  };
  const ends = { closed: "", died: "died", running: "still running" };
  const shown = [
    tile("Duration", (side) => duration(side.length), (side) => side.runs.map((run) => ends[run.end]).filter(Boolean).join(", ") || clock(side, side.first, 0).replace(/\.$/, "") + " UTC", (side) => side.runs.some((run) => run.end === "died")),
    tile("Tasks", (side) => whole(side.totals().tasks), (side) => `${whole(side.totals().events)} events`),
    tile("Failed", (side) => whole(side.totals().failed), (side) => (side.totals().affected ? `and ${whole(side.totals().affected)} with them` : side.totals().failed ? "on their own" : "none"), (side) => side.totals().failed > 0),
    tile("Workers", (side) => whole(side.workers.length), (side) => plural(side.totals().threads, "thread")),
    tile("Busy", (side) => percent(side.totals().share), (side) => `${duration(side.totals().compute)} computed`),
    tile("Transfers", (side) => duration(side.totals().fetched), (side) => plural(side.totals().fetches, "transfer")),
    tile("Held at most", (side) => bytes(side.totals().held), () => "results in memory"),
  ];
  if (sides.some((side) => side.totals().missing)) {
    shown.push(tile("Missing", (side) => whole(side.totals().missing), (side) => (side.gaps.length ? `events in ${plural(side.gaps.length, "gap")}` : ""), (side) => side.totals().missing > 0));
  }
  byID("tiles").replaceChildren(...shown);
}

function titles(sides) {
  const names = sides.map(sideTitle);
  const text = sides.length > 1 ? `${sides[0].name} beside ${sides[1].name}` : sides[0].name;
  byID("title").textContent = text;
  const start = (side) => new Date((side.origin + side.first) / 1000).toISOString().slice(0, 19).replace("T", " ");
  byID("subtitle").textContent = sides.length > 1
    ? sides.map((side) => `${side.letter}: ${side.runs.map((run) => `run #${run.number}`).join(", ")}`).join("   ")
    : `${names[0].split(" · ").slice(1).join(" · ")} · ${start(sides[0])} UTC`;
  document.title = `${text} · tasklog`;
}

async function start() {
  theme.set("auto");
  byID("theme").addEventListener("click", () => theme.next());
  byID("help-button").addEventListener("click", () => byID("help").showModal());
  const sides = page.names.map((name, place) =>
    new Side(place, plain(name), JSON.parse(byID(`document-${place}`).textContent)));
  titles(sides);
  byID("notices").replaceChildren(...sides.flatMap(detailNotes).map((text) => make("p", { class: "notice" }, text)));
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
  new Hands(timeline);
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => ({
      in: () => timeline.view.zoom(0.5, undefined, true),
      out: () => timeline.view.zoom(2, undefined, true),
      fit: () => timeline.view.fit(),
    })[button.dataset.do]());
  }
  await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
  const painted = performance.now();
  byID("loading").textContent = "The tables follow…";
  for (const side of sides) {
    await breathe();
    await side.readTasks();
  }
  const search = new Search(timeline);
  tiles(sides);
  await breathe();
  for (const side of sides) await side.readStories();
  panels.start(timeline);
  timeline.redraw();
  byID("loading").hidden = true;
  document.documentElement.dataset.ready = "true";
  // For those who test or measure the page.
  window.tasklogReport = { timeline, sides, panels, inspector, search, theme, painted, ready: performance.now() };
}

start().catch((error) => {
  byID("loading").textContent = `This page cannot be read: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
