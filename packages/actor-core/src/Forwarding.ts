/**
 * Asks that are handed on, and who may answer them. The server alone sets these fields of `metadata`; it
 * removes them from what clients send, and they don't count against `MAX_METADATA_BYTES`:
 *
 * - `answeredFor`, on an answer: the address that was asked, where another answers in its place
 * - `forwardedBy`, on an ask: the address that handed it on
 * - `forwardedByServer`, on an ask: `true` where that is an actor of the deployment's own, by its routing
 *   table, and no client
 */
import { type Address, HUB_ADDRESS, isAddress } from "./Address.ts"
import type { Envelope } from "./Envelope.ts"

/**
 * Whether the envelope answers an ask to this address: it comes from there, or from who has the ask in its
 * place, as the server says.
 */
export const isAnswerOf = (asked: Address, { from, metadata, pattern }: Envelope): boolean =>
  pattern === "tell" && (from === asked || metadata.answeredFor === asked)

/** An ask has no `correlationId`: who goes by the id alone would take it for an answer. */
export const uncorrelated = (envelope: Envelope): Envelope =>
  envelope.pattern === "tell" || envelope.correlationId === null
    ? envelope
    : { ...envelope, correlationId: null }

/** Whether the hub itself says it: an answer to a request of its own, or how an ask has failed. */
export const isByHub = ({ from, pattern, type }: Envelope): boolean =>
  pattern === "tell" && from === HUB_ADDRESS && type.startsWith("hub:")

/** Who handed it on, and chose its payload; `null`: it comes as its sender sent it. */
export const forwarderOf = ({ forwardedBy }: Envelope["metadata"]): Address | null =>
  isAddress(forwardedBy) ? forwardedBy : null

/** The metadata of an answer to an ask to `asked`, given from `from`. */
export const answeredFor = (
  metadata: Envelope["metadata"],
  asked: Address,
  from: Envelope["from"],
): Envelope["metadata"] => {
  if (from !== asked && from !== HUB_ADDRESS) return { ...metadata, answeredFor: asked }
  if (metadata.answeredFor === undefined) return metadata
  const { answeredFor: _, ...rest } = metadata
  return rest
}

/** The metadata without these fields: the very same object where it has none, as is usual. */
export const unmarked = (metadata: Envelope["metadata"]): Envelope["metadata"] => {
  if (
    metadata.answeredFor === undefined &&
    metadata.forwardedBy === undefined &&
    metadata.forwardedByServer === undefined
  ) {
    return metadata
  }
  const { answeredFor: _a, forwardedBy: _f, forwardedByServer: _s, ...rest } = metadata
  return rest
}

/** Which asks that were handed on an actor takes: all, none, or those by some addresses. */
export type AcceptForwards = boolean | ((by: Address) => boolean)

/** Whether an actor with this option takes it. What an actor of the deployment handed on is always taken. */
export const accepts = (option: AcceptForwards | undefined, metadata: Envelope["metadata"]): boolean => {
  const by = forwarderOf(metadata)
  if (by === null || metadata.forwardedByServer === true) return true
  return typeof option === "function" ? option(by) : option === true
}
