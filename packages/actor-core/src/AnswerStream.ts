/**
 * What follows an ask, by its id: a stream of answers, each but the last with `metadata.stream = {n, done: false}`,
 * and what its asker says further.
 */
import type { Envelope } from "./Envelope.ts"

/** Whether the answer is one of a stream and not its last. A failure is always the last. */
export const isMoreToCome = ({ type, metadata: { stream } }: Envelope): boolean =>
  type !== "actor:error" &&
  typeof stream === "object" &&
  stream !== null &&
  (stream as { readonly done?: unknown }).done === false

/**
 * Where the answer stands in its stream, from 1; `null`: it is no part of one, and ends its ask. `NaN`, which
 * is no number's next, where it says that it is a part and not which.
 */
export const partNumber = ({ type, metadata: { stream } }: Envelope): number | null => {
  if (type === "actor:error" || typeof stream !== "object" || stream === null) return null
  const { done, n } = stream as { readonly done?: unknown; readonly n?: unknown }
  if (typeof done !== "boolean") return null
  return Number.isSafeInteger(n) ? (n as number) : Number.NaN
}

/** Whether it comes from who asked, about the ask that it names, and is no answer to it. */
export const isAboutAsk = (type: string): boolean => type === "actor:cancel" || type === "actor:demand"
