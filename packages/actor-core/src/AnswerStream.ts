/** Streams of answers to one ask: each but the last has `metadata.stream = {n, done: false}`. */
import type { Envelope } from "./Envelope.ts"

/** Whether the answer is one of a stream and not its last. A failure is always the last. */
export const isMoreToCome = ({ type, metadata: { stream } }: Envelope): boolean =>
  type !== "actor:error" &&
  typeof stream === "object" &&
  stream !== null &&
  (stream as { readonly done?: unknown }).done === false
