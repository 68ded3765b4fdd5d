/** How a durable actor's own messages and deadlines are stored. */
import type { Protocol } from "@signal-hub/actor-core"
import { Schemas } from "@signal-hub/actor-core/hosting"
import * as Result from "effect/Result"

/** About 100 years, milliseconds, for what has no end. */
export const LONGEST = 3_155_760_000_000

/** A payload as it is stored. Throws what the schema says. */
export const encodePayload = (protocol: Protocol.Any, name: string, payload: unknown): unknown => {
  const encoded = Schemas.encodePayload(protocol, name, payload)
  if (Result.isFailure(encoded)) throw encoded.failure
  return encoded.success
}
