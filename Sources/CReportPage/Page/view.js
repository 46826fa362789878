// Which part of the time is in view; both sides of a comparison share it.

class View {
  constructor(length) {
    this.whole = length;
    /** Microseconds since the beginning of the run. */
    this.from = 0;
    this.to = length;
    this.changed = () => {};
    this.moving = 0;
  }

  get length() {
    return this.to - this.from;
  }

  /** Shows a part, kept within what there is and what a number can tell. */
  set(from, to) {
    const margin = this.whole * 0.02;
    let length = Math.min(Math.max(to - from, 20), this.whole + 2 * margin);
    from = Math.min(Math.max(from + (to - from - length) / 2, -margin), this.whole + margin - length);
    this.from = from;
    this.to = from + length;
    this.changed();
  }

  /** Goes there in a few frames, for those who do not mind movement. */
  glide(from, to) {
    cancelAnimationFrame(this.moving);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.set(from, to);
    const [oldFrom, oldTo] = [this.from, this.to];
    const begun = performance.now();
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - begun) / 180));
      const share = 1 - (1 - done) ** 3;
      this.set(oldFrom + (from - oldFrom) * share, oldTo + (to - oldTo) * share);
      if (done < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.moving);
  }

  zoom(factor, at = (this.from + this.to) / 2, isGliding = false) {
    const from = at - (at - this.from) * factor;
    const to = at + (this.to - at) * factor;
    if (isGliding) this.glide(from, to);
    else this.set(from, to);
  }

  pan(time) {
    this.set(this.from + time, this.to + time);
  }

  fit() {
    const margin = this.whole * 0.005;
    this.glide(-margin, this.whole + margin);
  }

  /** Shows a span with some room around it. */
  showSpan(start, stop) {
    const room = Math.max((stop - start) * 1.5, 50);
    this.glide(start - room, stop + room);
  }
}
