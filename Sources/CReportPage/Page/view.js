// The part of the time that is in view; both sides of a comparison share it.

export class View {
  /** @param {number} length */
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

  /**
   * Shows a part, within the run and the precision of a number.
   * @param {number} from
   * @param {number} to
   */
  set(from, to) {
    const margin = this.whole * 0.02;
    let length = Math.min(Math.max(to - from, 20), this.whole + 2 * margin);
    from = Math.min(Math.max(from + (to - from - length) / 2, -margin), this.whole + margin - length);
    this.from = from;
    this.to = from + length;
    this.changed();
  }

  /**
   * Moves to a part in a few frames, or at once if the user prefers reduced motion.
   * @param {number} from
   * @param {number} to
   */
  glide(from, to) {
    cancelAnimationFrame(this.moving);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.set(from, to);
    const [oldFrom, oldTo] = [this.from, this.to];
    const begun = performance.now();
    const step = (/** @type {number} */ now) => {
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

  /**
   * @param {number} factor
   * @param {number} [at]
   * @param {boolean} [isGliding]
   */
  zoom(factor, at = (this.from + this.to) / 2, isGliding = false) {
    const from = at - (at - this.from) * factor;
    const to = at + (this.to - at) * factor;
    if (isGliding) this.glide(from, to);
    else this.set(from, to);
  }

  /** @param {number} time */
  pan(time) {
    this.set(this.from + time, this.to + time);
  }

  fit() {
    const margin = this.whole * 0.005;
    this.glide(-margin, this.whole + margin);
  }

  /**
   * Shows a span with some room around it.
   * @param {number} start
   * @param {number} stop
   */
  showSpan(start, stop) {
    const room = Math.max((stop - start) * 1.5, 50);
    this.glide(start - room, stop + room);
  }
}
