/**
 * The message that every subject passes on: an envelope that is 200 bytes as JSON. What our own
 * client sends has the same payload, address and type, so as JSON it would be as large or larger.
 */
import type { Payload } from "../Subject.ts"

const SIZE = 200
export const TYPE = "bench:note"

let made = 0

/** The envelope as whoever has no client of ours would make it. */
export const makeEnvelope = (to: string, payload: unknown) => ({
  id: `b${1_000_000_000 + made++}`,
  to,
  type: TYPE,
  pattern: "tell",
  correlationId: null,
  timestamp: Date.now(),
  payload,
})

let padding: string | undefined

/** A payload that brings an envelope to a peer with an address as `@(bench/b)` to its size. */
export const makePayload = (n: number): Payload => {
  padding ??= "x".repeat(SIZE - JSON.stringify(makeEnvelope("@(bench/b)", { n: 1_000_000, text: "" })).length)
  return { n: 1_000_000 + n, text: padding }
}
