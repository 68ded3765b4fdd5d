/** Choices from a seed. What the clock and the network do is not chosen: a run is not repeated exactly by it. */
import { randomBySeed } from "../integration/fuzz/cases.ts"

export interface Random {
  /** In [0, 1). */
  readonly next: () => number
  /** Whether something of this probability happens. */
  readonly chance: (probability: number) => boolean
  /** A number from `from` to below `to`. */
  readonly between: (from: number, to: number) => number
  readonly one: <A>(of: ReadonlyArray<A>) => A
}

export const makeRandom = (seed: number): Random => {
  const next = randomBySeed(seed)
  return {
    next,
    chance: (probability) => next() < probability,
    between: (from, to) => from + next() * (to - from),
    one: (of) => of[Math.floor(next() * of.length)]!,
  }
}
