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

/** Whether it comes from who asked, about the ask that it names, and is no answer to it. */
export const isAboutAsk = (type: string): boolean => type === "actor:cancel" || type === "actor:demand"
