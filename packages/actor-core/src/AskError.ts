/**
 * How an ask may fail, and how those failures are read off envelopes. An ask ends exactly once: with
 * its answer or with one of these.
 */
import * as Data from "effect/Data"
import { HUB_ADDRESS, isAddress, type Address } from "./Address.ts"
import type { Envelope } from "./Envelope.ts"

/** Nobody is at the address. */
export class UnknownActor extends Data.TaggedError("UnknownActor")<{
  readonly address: Address
  readonly message: string
}> {}

/** The actor went away with the ask open; it may have acted on it. */
export class ActorTerminated extends Data.TaggedError("ActorTerminated")<{
  readonly message: string
}> {}

/** No answer within the time limit. */
export class AskTimeout extends Data.TaggedError("AskTimeout")<{
  readonly message: string
}> {}

/** The actor failed: its code, and its typed error, still encoded, where it had one. */
export class ActorFailed extends Data.TaggedError("ActorFailed")<{
  readonly code: string
  readonly message: string
  readonly data?: unknown
  readonly retryable: boolean
}> {}

/** The ask was refused on its way, with an error code of the hub. */
export class AskRefused extends Data.TaggedError("AskRefused")<{
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  /** Milliseconds to wait before asking again, where the hub says so: `rate_limited`. */
  readonly retryAfterMs?: number | undefined
  readonly details?: unknown
}> {}

export type AskError = UnknownActor | ActorTerminated | AskTimeout | ActorFailed | AskRefused

/** What an actor says of its failure: the payload of `actor:error`. */
export interface ActorErrorPayload {
  readonly code: string
  readonly message: string
  /** The actor's typed error, encoded. */
  readonly data?: unknown
  readonly retryable: boolean
}

const text = (value: unknown, otherwise: string): string => (typeof value === "string" ? value : otherwise)

const refused = (code: string, message: string, retryable: boolean, details: unknown): AskRefused => {
  const { retryAfterMs } = (details ?? {}) as { readonly retryAfterMs?: unknown }
  const wait = typeof retryAfterMs === "number" ? { retryAfterMs } : {}
  return new AskRefused({ code, message, retryable, details, ...wait })
}

/** The failure that the actor at this address tells of itself: that it is gone, or that it failed. */
export const fromActor = (address: string, failure: ActorErrorPayload): AskError => {
  const { code, message, data } = failure
  // With data it is an error of the actor's own protocol, whatever its code is.
  if (data === undefined && code === "actor_terminated") return new ActorTerminated({ message })
  if (data === undefined && code === "unknown_actor" && isAddress(address)) {
    return new UnknownActor({ address, message })
  }
  return new ActorFailed(failure)
}

/**
 * The failure that this answer tells, or `undefined` where it is an answer like any other. `hub:*`
 * types are believed from the hub's address only. Never throws, whatever the payload is.
 */
export const fromEnvelope = (answer: Envelope): AskError | undefined => {
  const p = (typeof answer.payload === "object" && answer.payload !== null ? answer.payload : {}) as {
    readonly [field: string]: unknown
  }
  if (answer.type === "actor:error") {
    return fromActor(answer.from, {
      code: text(p.code, "actor_failed"),
      message: text(p.message, "the actor failed"),
      data: p.data,
      retryable: p.retryable === true,
    })
  }
  if (answer.from !== HUB_ADDRESS) return undefined
  switch (answer.type) {
    case "hub:unknown_actor":
      return new UnknownActor({
        address: isAddress(p.actorAddress) ? p.actorAddress : HUB_ADDRESS,
        message: text(p.message, "unknown actor"),
      })
    case "hub:error": {
      const code = text(p.code, "internal_error")
      const message = text(p.message, code)
      if (code === "timeout") return new AskTimeout({ message })
      if (code === "actor_terminated") return new ActorTerminated({ message })
      return refused(code, message, p.retryable === true, p.details)
    }
    case "hub:unauthorized":
    case "hub:rate_limited":
    case "hub:version_mismatch":
    case "hub:message_too_large":
      return refused(
        answer.type.slice(4),
        text(p.message ?? p.reason, answer.type.slice(4)),
        answer.type === "hub:rate_limited",
        p,
      )
    default:
      return undefined
  }
}
