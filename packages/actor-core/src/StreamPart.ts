/**
 * Streams of answers to one ask, as the wire has them: the answers have `metadata.stream = {n, done}`, `n`
 * from 1. As many may come as the asker demands: `INITIAL_DEMAND` unasked, and more by `actor:demand {n}`.
 */
import type { Envelope, Metadata } from "./Envelope.ts"

/** Answers that may come before the asker has said anything. */
export const INITIAL_DEMAND = 16

/** Where an answer stands in its stream. */
export interface Part {
  /** From 1. */
  readonly n: number
  /** Whether it ends the stream. Then its payload, unless it is `null`, is the last element. */
  readonly done: boolean
}

/** The mark of an answer. */
export const mark = (part: Part): Metadata => ({ stream: part })

/** The mark that the answer has, or `undefined`. */
export const partOf = ({ metadata }: Envelope): Part | undefined => {
  const { stream } = metadata
  if (typeof stream !== "object" || stream === null) return undefined
  const { n, done } = stream as { readonly n?: unknown; readonly done?: unknown }
  return Number.isSafeInteger(n) && typeof done === "boolean" ? { n: n as number, done } : undefined
}

/** How many more answers an `actor:demand` allows. `0` keeps the stream going without. */
export const demandOf = ({ payload }: Envelope): number => {
  const n = (payload as { readonly n?: unknown } | null)?.n
  return Number.isSafeInteger(n) && (n as number) > 0 ? (n as number) : 0
}
