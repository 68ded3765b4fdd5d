/**
 * The table of messages from the hub to clients. The types of answers and events are inferred from it. Clients
 * believe their hub: only tests judge its messages by the table.
 */
import type { Address } from "@signal-hub/actor-core/vocabulary"
import { optional, record, required } from "./Field.ts"
import * as Rule from "./FieldRules.ts"
import { HUB_ERRORS, type HubErrorCode } from "./HubError.ts"
import type { Limits } from "./Limits.ts"

/** A row of the table. */
interface RowFromHub {
  /** The payload of the answer to a request. */
  readonly answer?: Rule.Rule
  /** The payload of a message that the hub sends unasked, or instead of an answer. */
  readonly notice?: Rule.Rule
  /** Whether a client's program sees the notice as an event. */
  readonly isEvent?: true
}

const string = required(Rule.string)
const number = required(Rule.anyNumber)
const count = required(Rule.count(0))
const flag = required(Rule.flag)
const topic = required(Rule.topic)
const object = required(Rule.metadata())
const actorAddress = required(Rule.address)
const strings = required(Rule.list(Rule.string))
/** The cursor of the next page, if there is more. */
const page = { hasMore: flag, cursor: optional(Rule.string) }

const registered = record({
  actorAddress,
  /** Epoch milliseconds. */
  expiresAt: number,
  renewalToken: string,
  version: count,
})

const actorEntry = record({
  address: actorAddress,
  actorAddress,
  capabilities: strings,
  metadata: object,
  registeredAt: number,
  expiresAt: number,
  version: count,
})
const actors = required(Rule.list(actorEntry))

const presenceChange = { actorAddress, metadata: object }
const presenceMember = {
  ...presenceChange,
  /** `false`: its connection is lost, and its session waits for another one. */
  isConnected: flag,
}
const changes = required(Rule.list(record(presenceChange)))

/** The limits that a client needs, as `hub:connected` tells them. */
const advertisedLimits = {
  maxMessageSize: number,
  maxAddressesPerSession: number,
  maxSubscriptionsPerSession: number,
  maxAsksPerSession: number,
  maxPageSize: number,
  defaultTtlSeconds: number,
  minTtlSeconds: number,
  maxTtlSeconds: number,
  maxSessionExpirySeconds: number,
  maxMetadataSize: number,
  maxEnvelopesPerSecond: number,
  envelopeBurst: number,
  maxBytesPerSecond: number,
  byteBurst: number,
  maxValues: number,
  pauseThreshold: number,
  resumeThreshold: number,
} satisfies { readonly [name in keyof Limits]?: typeof number }

const resumableSession = {
  /** Of the identity: goes up with each connection that takes it. */
  epoch: count,
  /** A secret: whoever has it, and a token of the identity, has the session. */
  resumeToken: string,
  resumed: flag,
  /** Why the session was not resumed. */
  reason: optional(Rule.oneOf("unknown_session", "expired", "buffer_overflow", "server_reset")),
  /** How many of each the session has from before. */
  kept: required(record({ registrations: count, subscriptions: count, watches: count })),
  /** Seconds that the session waits for another connection. */
  expirySeconds: number,
  /** The last `seq` that the hub took from this client. */
  inSeq: count,
  /** The first `seq` that the client does not have, and the next to be given. */
  outFirst: count,
  outNext: count,
}

const isErrorCode = (value: unknown): value is HubErrorCode =>
  typeof value === "string" && Object.hasOwn(HUB_ERRORS, value)

const errorCode: Rule.Rule<HubErrorCode> = (value, field) =>
  isErrorCode(value) ? undefined : { code: "invalid_message", message: `"${field}" must be an error code` }

/** An address as its sender named it: that of a client of 0.x may be malformed. */
const asNamed: Rule.Rule<Address.Address> = (value, field, limits) => Rule.string(value, field, limits)

/** Messages from the hub by their type. */
export const FROM_HUB = {
  "hub:connected": {
    answer: record({
      sessionId: string,
      serverVersion: string,
      supportedVersions: strings,
      maxMessageSize: number,
      /** Milliseconds. */
      heartbeatInterval: number,
      capabilities: required(
        record({
          maxActorsPerInstance: number,
          supportsBackpressure: flag,
          supportedContentTypes: strings,
        }),
      ),
      limits: required(record(advertisedLimits)),
      topology: required(Rule.oneOf("hub", "gateway")),
      /** Of protocol 1.0: what it takes to go on with the session on another connection. */
      session: optional(record(resumableSession)),
    }),
  },
  "hub:heartbeat_ack": { answer: record({ timestamp: number, serverTime: number }) },
  "hub:disconnect": {
    answer: record({ acknowledged: required(Rule.yes) }),
    notice: record({
      reason: required(
        Rule.oneOf(
          "duplicate_connection",
          "unauthorized",
          "token_expired",
          "heartbeat_timeout",
          "slow_consumer",
          "server_shutdown",
        ),
      ),
      message: string,
    }),
    isEvent: true,
  },
  "hub:registered": { answer: registered },
  "hub:renewed": { answer: registered },
  "hub:unregistered": {
    answer: record({ actorAddress }),
    notice: record({ actorAddress, reason: required(Rule.oneOf("superseded", "forbidden")) }),
    isEvent: true,
  },
  "hub:discovered": { answer: record({ actors, ...page }) },
  "hub:actor_list": { answer: record({ actors, total: count, offset: count, limit: count, hasMore: flag }) },
  "hub:delivery_ack": {
    answer: record({
      messageId: string,
      deliveredAt: number,
      status: required(Rule.oneOf("delivered", "queued")),
    }),
  },
  "hub:broadcast_ack": {
    answer: record({ messageId: string, deliveredCount: count, failedCount: count, queuedCount: count }),
  },
  "hub:subscribed": { answer: record({ topic, subscriptionId: string }) },
  "hub:unsubscribed": { answer: record({ topic }) },
  "hub:published": { answer: record({ topic, subscriberCount: count }) },
  "hub:watching": { answer: record({ actorAddress, registered: flag }) },
  "hub:unwatched": { answer: record({ actorAddress }) },
  "hub:terminated": {
    notice: record({
      actorAddress,
      reason: required(Rule.oneOf("unregistered", "disconnected", "expired", "superseded")),
    }),
    isEvent: true,
  },
  "hub:presence_state": {
    answer: record({ topic, members: required(Rule.list(record(presenceMember))), ...page }),
  },
  "hub:presence_diff": {
    notice: record({
      topic,
      joined: changes,
      left: changes,
      /** Absent if nothing of the kind has happened. */
      updated: optional(Rule.list(record({ actorAddress, isConnected: flag }))),
    }),
    isEvent: true,
  },
  "hub:queue_stats_response": {
    answer: record({
      /** Envelopes that wait in the hub's memory. */
      queueDepth: count,
      /** Bytes that were sent on this connection and are not acknowledged. */
      queueBytes: count,
      /** Envelopes a second that the hub took from this session, over the last window. */
      processingRate: number,
      pauseThreshold: number,
      resumeThreshold: number,
    }),
  },
  "hub:metrics_response": { answer: Rule.valuesBy(Rule.anyNumber) },
  "hub:token_refreshed": {
    answer: record({
      /** When the new token expires, epoch milliseconds; `null`: never. */
      expiresAt: required(Rule.nullable(Rule.anyNumber)),
    }),
  },
  "hub:pause": { notice: record({ actorAddress, reason: string }), isEvent: true },
  "hub:resume": { notice: record({ actorAddress }), isEvent: true },
  "hub:ack": { notice: record({ through: count, bytes: count }) },
  "hub:probe": { notice: record({ nonce: string }) },
  "hub:unknown_actor": {
    notice: record({ actorAddress: required(asNamed), message: string }),
    isEvent: true,
  },
  "hub:error": {
    notice: record({
      code: required(errorCode),
      /** Says what was wrong, with which field. */
      message: string,
      resolution: string,
      retryable: flag,
      details: object,
    }),
    isEvent: true,
  },
  "hub:unauthorized": { notice: record({ message: string }) },
  "hub:rate_limited": {
    notice: record({
      message: string,
      /** Milliseconds, as `retryAfterMs`. */
      retryAfter: number,
      retryAfterMs: number,
      /** Envelopes or bytes a second, or takeovers in the window, that are allowed. */
      limit: number,
      /** If bytes were too many: their frame was not decoded. */
      unit: optional(Rule.oneOf("bytes")),
    }),
    isEvent: true,
  },
  "hub:version_mismatch": { notice: record({ message: string }) },
  "hub:message_too_large": { notice: record({ message: string }) },
} satisfies { readonly [type: `hub:${string}`]: RowFromHub }

type FromHub = typeof FROM_HUB

/** The types of all messages that the hub sends. */
export type MessageFromHub = keyof FromHub

/** The types of messages that the hub replies to requests with. */
export type AnswerType = {
  [T in MessageFromHub]: FromHub[T] extends { readonly answer: Rule.Rule } ? T : never
}[MessageFromHub]

/** The payload of a reply to a request, by the type of the reply. */
export type AnswerOf<T extends AnswerType> = FromHub[T] extends { readonly answer: Rule.Rule<infer A> }
  ? A
  : never

type NoticeType = {
  [T in MessageFromHub]: FromHub[T] extends { readonly notice: Rule.Rule } ? T : never
}[MessageFromHub]

/** The payload of a message that the hub sends unasked, or instead of an answer. */
export type NoticeOf<T extends NoticeType> = FromHub[T] extends { readonly notice: Rule.Rule<infer A> }
  ? A
  : never

/** Messages that a client's program sees as events, by type: unasked ones, and refusals. */
export type HubEvents = {
  readonly [T in NoticeType as FromHub[T] extends { readonly isEvent: true } ? T : never]: NoticeOf<T>
}
