/** Numbers that a seed decides: the same seed, the same numbers, on every machine. */

/** Gives a number from 0 up to, not including, 1, each time it is called. */
export type Random = () => number

/** Random numbers from a seed, by Mulberry32: quick, small, and good enough to choose by. */
export const makeRandom = (seed: number): Random => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
