// The events about each task.

import { Numbers } from "./data.js";

const STORY_BLOCK = 64;

/**
 * Where every 64th story begins in each of its columns.
 * @param {import("./side.js").Side} side
 */
export function indexStories(side) {
  const blocks = Math.ceil(side.count / STORY_BLOCK) + 1;
  const places = new Uint32Array(blocks * 3);
  const kinds = new Numbers(side.storyKinds);
  const steps = side.storySteps;
  const wheres = side.storyWheres;
  let step = 0;
  let where = 0;
  for (let task = 0; task < side.count; task++) {
    if (task % STORY_BLOCK === 0) {
      const at = (task / STORY_BLOCK) * 3;
      places[at] = kinds.at;
      places[at + 1] = step;
      places[at + 2] = where;
    }
    for (let left = side.events[task]; left > 0; left--) {
      if ((kinds.next() & 3) === 2) {
        while (wheres[where++] >= 128);
      }
      while (steps[step++] >= 128);
    }
  }
  return places;
}

/**
 * All events about a task, cause before effect.
 * @param {import("./side.js").Side} side
 * @param {number} task
 */
export function taskStory(side, task) {
  const block = Math.floor(task / STORY_BLOCK);
  const kinds = new Numbers(side.storyKinds, side.storyPlaces[block * 3]);
  const steps = new Numbers(side.storySteps, side.storyPlaces[block * 3 + 1]);
  const wheres = new Numbers(side.storyWheres, side.storyPlaces[block * 3 + 2]);
  for (let other = block * STORY_BLOCK; ; other++) {
    const events = [];
    let time = side.firstTime[other];
    let worker = -1;
    for (let left = side.events[other]; left > 0; left--) {
      const head = kinds.next();
      time += steps.signed();
      if ((head & 3) === 2) worker = wheres.next();
      if (other !== task) continue;
      const [source, hook, start, finish] = side.kinds[head >> 2];
      events.push({ time, isScheduler: source === 0, worker: head & 3 ? worker : -1, hook, start, finish });
    }
    if (other === task) return events;
  }
}
