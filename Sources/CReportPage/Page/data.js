// Reads the page's data: columns of numbers in base64, compressed, seven bits a byte.

import { byID } from "./theme.js";

/** @param {string} text */
function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * The bytes of a column of a side. It can be read once: its text is removed.
 * @param {number} side
 * @param {string} name
 */
export async function column(side, name) {
  const element = document.getElementById(`${name}-${side}`);
  const bytes = fromBase64(element.textContent);
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Decodes numbers one after the other. */
export class Numbers {
  /**
   * @param {Uint8Array} bytes
   * @param {number} [at]
   */
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  next() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      byte = bytes[this.at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value;
  }

  /** The lowest bit is the sign. */
  signed() {
    const value = this.next();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  /**
   * @template {Uint32Array | Int32Array | Float64Array} T
   * @param {T} array
   */
  fill(array) {
    for (let i = 0; i < array.length; i++) array[i] = this.next();
    return array;
  }

  /**
   * Decodes values that are stored as differences.
   * @template {Uint32Array | Int32Array | Float64Array} T
   * @param {T} array
   */
  sums(array) {
    let sum = 0;
    for (let i = 0; i < array.length; i++) array[i] = sum += this.signed();
    return array;
  }
}

/**
 * The first index of a sorted array, between two others, whose value is at least `value`.
 * @param {ArrayLike<number>} array
 * @param {number} value
 * @param {number} [from]
 * @param {number} [to]
 */
export function lowerBound(array, value, from = 0, to = array.length) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (array[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Lets the browser draw and handle input before the caller continues. */
export const yieldToBrowser = () => new Promise((resolve) => setTimeout(resolve));

/**
 * What the page is about: the version of tasklog, and the names of the sides.
 * @type {{ version: string, names: string[] }}
 */
export const page = JSON.parse(byID("about").textContent);
