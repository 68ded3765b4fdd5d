/** Requests to the hub that are more than one message of the protocol as it is. */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import type { BroadcastAck, PresenceMember, Register, Registered } from "../protocol/HubMessage.ts"
import type { RequestError } from "./ClientError.ts"
import type { Core } from "./Core.ts"
import { given } from "./Message.ts"
import { unreadable } from "./Validation.ts"

/** What may be said of a registration: tags, metadata (≤ 4 KiB), and its TTL in seconds. */
export type RegisterFields = Omit<Register, "actorAddress">

/** A registration that is held. */
export interface Registration extends Registered, AsyncDisposable {
  /** Lets it go. */
  readonly unregister: () => Promise<void>
}

/** Whom a broadcast reaches: all registered addresses, less what these leave out. */
export interface BroadcastOptions {
  /** Not this client's own addresses. */
  readonly excludeSelf?: boolean
  /** Those registered with this tag. */
  readonly targetCapability?: string
  /** Those that match this pattern. */
  readonly targetPattern?: string
  readonly metadata?: Envelope.Metadata
}

export const broadcast = (
  core: Core,
  type: string,
  data: unknown,
  options: BroadcastOptions = {},
): Effect.Effect<BroadcastAck, RequestError> => {
  try {
    const { excludeSelf, targetCapability, targetPattern, metadata } = options
    return core.request(
      "hub:broadcast",
      { type, data, ...(excludeSelf !== undefined && { excludeSelf }) },
      given({ ...metadata, targetCapability, targetPattern }),
    )
  } catch (error) {
    return Effect.fail(unreadable(options, error))
  }
}

/** All who are present on a topic, page after page. */
export const presenceOf = (
  core: Core,
  topic: string,
): Effect.Effect<ReadonlyArray<PresenceMember>, RequestError> =>
  Effect.gen(function* () {
    const members: Array<PresenceMember> = []
    let cursor: string | undefined
    for (;;) {
      const page = yield* core.request("hub:presence", { topic, ...(cursor !== undefined && { cursor }) })
      members.push(...page.members)
      if (!page.hasMore || page.cursor === undefined) return members
      cursor = page.cursor
    }
  })
