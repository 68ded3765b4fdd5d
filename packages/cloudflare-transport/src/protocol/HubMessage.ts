/**
 * The messages between a client and the hub: their types and payloads, in and out. Types only; what
 * comes off a wire is judged field by field where it is used.
 */
import { Address, type AskError } from "@signal-hub/actor-core/vocabulary"
import type { HubErrorPayload } from "./HubError.ts"
import type { Limits } from "./Limits.ts"

/** The hub's own address. Clients obey `hub:*` from no other. */
export const HUB_ADDRESS: Address.Address = Address.HUB_ADDRESS

/** The address of a session without an identity. */
export const provisionalAddress = (sessionId: string): Address.Address => `@(session/${sessionId})`

/** Whether an address is reserved: nobody may claim it. */
export const isReserved: (address: string) => boolean = Address.isReserved

/** Whether the text is a topic: `[A-Za-z0-9/_.:-]{1,256}`. */
export const isTopic = (value: unknown): value is string =>
  typeof value === "string" && /^[A-Za-z0-9/_.:-]{1,256}$/.test(value)

/** Metadata of `hub:connect`, whose payload is null. */
export interface ConnectMetadata {
  readonly protocolVersion: string
  readonly authToken?: string
  readonly capabilities?: ReadonlyArray<string>
  readonly actorIdentity?: Address.Address
  readonly clientMetadata?: { readonly [key: string]: unknown }
  readonly cleanStart?: boolean
  readonly reclaim?: boolean
  readonly sessionExpirySeconds?: number
  readonly resume?: Resume
}

/** The session that a client had before, to go on with. */
export interface Resume {
  readonly sessionId: string
  readonly resumeToken: string
  /** The last `seq` that the client took; 0 where there was none. */
  readonly lastSeq: number
}

/** Limits that a client needs, as `hub:connected` tells them. */
export type AdvertisedLimits = Pick<
  Limits,
  | "maxMessageSize"
  | "maxAddressesPerSession"
  | "maxSubscriptionsPerSession"
  | "maxAsksPerSession"
  | "maxPageSize"
  | "defaultTtlSeconds"
  | "minTtlSeconds"
  | "maxTtlSeconds"
  | "maxSessionExpirySeconds"
  | "maxMetadataSize"
  | "maxEnvelopesPerSecond"
  | "envelopeBurst"
  | "maxBytesPerSecond"
  | "byteBurst"
  | "maxValues"
  | "pauseThreshold"
  | "resumeThreshold"
>

export interface Connected {
  readonly sessionId: string
  readonly serverVersion: string
  readonly supportedVersions: ReadonlyArray<string>
  readonly maxMessageSize: number
  readonly heartbeatInterval: number
  readonly capabilities: {
    readonly maxActorsPerInstance: number
    readonly supportsBackpressure: boolean
    readonly supportedContentTypes: ReadonlyArray<string>
  }
  readonly limits: AdvertisedLimits
  readonly topology: "hub" | "gateway"
  /** Of protocol 1.0: what it takes to go on with the session on another connection. */
  readonly session?: ResumableSession
}

/** Why a session was not resumed. */
export type NotResumedReason = "unknown_session" | "expired" | "buffer_overflow" | "server_reset"

export interface ResumableSession {
  /** Of the identity: goes up with each connection that takes it. */
  readonly epoch: number
  /** A secret: whoever has it, and a token of the identity, has the session. */
  readonly resumeToken: string
  readonly resumed: boolean
  readonly reason?: NotResumedReason
  /** How many of each the session has from before. */
  readonly kept: {
    readonly registrations: number
    readonly subscriptions: number
    readonly watches: number
  }
  /** Seconds that the session waits for another connection. */
  readonly expirySeconds: number
  /** The last `seq` that the hub took from this client. */
  readonly inSeq: number
  /** The first `seq` that the client does not have, and the next to be given. */
  readonly outFirst: number
  readonly outNext: number
}

export interface Register {
  readonly actorAddress: Address.Address
  readonly capabilities?: ReadonlyArray<string>
  readonly metadata?: { readonly [key: string]: unknown }
  readonly ttlSeconds?: number
}
export interface Registered {
  readonly actorAddress: Address.Address
  /** Epoch milliseconds. */
  readonly expiresAt: number
  readonly renewalToken: string
  readonly version: number
}
export interface Discover {
  readonly pattern: string
  readonly capability?: string
  readonly capabilities?: ReadonlyArray<string>
  readonly limit?: number
  readonly cursor?: string
}
export interface ActorEntry {
  readonly address: Address.Address
  readonly actorAddress: Address.Address
  readonly capabilities: ReadonlyArray<string>
  readonly metadata: { readonly [key: string]: unknown }
  readonly registeredAt: number
  readonly expiresAt: number
  readonly version: number
}
export interface Discovered {
  readonly actors: ReadonlyArray<ActorEntry>
  readonly hasMore: boolean
  readonly cursor?: string
}
export interface ActorList {
  readonly actors: ReadonlyArray<ActorEntry>
  readonly total: number
  readonly offset: number
  readonly limit: number
  readonly hasMore: boolean
}
export interface DeliveryAck {
  readonly messageId: string
  readonly deliveredAt: number
  readonly status: "delivered" | "queued"
}
export interface BroadcastAck {
  readonly messageId: string
  readonly deliveredCount: number
  readonly failedCount: number
  readonly queuedCount: number
}
export interface Subscribe {
  readonly topic: string
  readonly durable?: boolean
  readonly presence?: boolean
}
export interface Subscribed {
  readonly topic: string
  readonly subscriptionId: string
}
export interface Published {
  readonly topic: string
  readonly subscriberCount: number
}
export interface Watching {
  readonly actorAddress: Address.Address
  readonly registered: boolean
}
export type TerminatedReason = "unregistered" | "disconnected" | "expired" | "superseded"
export interface Terminated {
  readonly actorAddress: Address.Address
  readonly reason: TerminatedReason
}
/** Who joined a topic, or left it. */
export interface PresenceChange {
  readonly actorAddress: Address.Address
  readonly metadata: { readonly [key: string]: unknown }
}
export interface PresenceMember extends PresenceChange {
  /** `false`: its connection is lost, and its session waits for another one. */
  readonly isConnected: boolean
}
/** A member whose connection was lost, or is there again. */
export type PresenceUpdate = Pick<PresenceMember, "actorAddress" | "isConnected">
export interface PresenceState {
  readonly topic: string
  readonly members: ReadonlyArray<PresenceMember>
  readonly hasMore: boolean
  readonly cursor?: string
}
export interface PresenceDiff {
  readonly topic: string
  readonly joined: ReadonlyArray<PresenceChange>
  readonly left: ReadonlyArray<PresenceChange>
  /** Absent where nothing of the kind has happened. */
  readonly updated?: ReadonlyArray<PresenceUpdate>
}
export interface QueueStats {
  /** Envelopes in line in the hub's memory. */
  readonly queueDepth: number
  /** Bytes that were sent on this connection and are not acknowledged. */
  readonly queueBytes: number
  /** Envelopes a second that the hub took from this session, over the last window. */
  readonly processingRate: number
  readonly pauseThreshold: number
  readonly resumeThreshold: number
}
export interface TokenRefreshed {
  /** When the new token expires, epoch milliseconds; `null`: never. */
  readonly expiresAt: number | null
}
/** What a receiver has: cumulative. Not answered. */
export interface Ack {
  /** The last `seq` taken; 0 where there was none. */
  readonly through: number
  /** Bytes of all data frames received on this socket, text counted as UTF-8; no heartbeats. */
  readonly bytes: number
  /** From a client: that of the newest probe received on this socket, where the hub was not told of it yet. */
  readonly nonce?: string
}
/** Sent after each MiB: the next `hub:ack` carries the nonce, which shows that its sender has read so far. */
export interface Probe {
  readonly nonce: string
}
export interface RateLimited {
  readonly message: string
  /** Milliseconds, as `retryAfterMs`. */
  readonly retryAfter: number
  readonly retryAfterMs: number
  /** Envelopes or bytes a second, or takeovers in the window, that are allowed. */
  readonly limit: number
  /** Where it is bytes that were too many: their frame was not decoded. */
  readonly unit?: "bytes"
}
export type DisconnectReason =
  | "duplicate_connection"
  | "unauthorized"
  | "token_expired"
  | "heartbeat_timeout"
  | "slow_consumer"
  | "server_shutdown"

/** What an actor's failure looks like on the wire: the payload of `actor:error`. */
export type ActorError = AskError.ActorErrorPayload

/** A message to the hub and its answer, by the request's type. */
export interface HubRequests {
  "hub:connect": { readonly in: null; readonly out: Connected }
  "hub:heartbeat": {
    readonly in: { readonly timestamp: number }
    readonly out: { readonly timestamp: number; readonly serverTime: number }
  }
  "hub:disconnect": {
    readonly in: { readonly reason?: string }
    readonly out: { readonly acknowledged: true }
  }
  "hub:register": { readonly in: Register; readonly out: Registered }
  "hub:unregister": {
    readonly in: { readonly actorAddress: Address.Address } | null
    readonly out: { readonly actorAddress: Address.Address }
  }
  "hub:renew": {
    readonly in: { readonly renewalToken: string; readonly ttlSeconds?: number }
    readonly out: Registered
  }
  "hub:discover": { readonly in: Discover; readonly out: Discovered }
  "hub:list_actors": {
    readonly in: { readonly offset?: number; readonly limit?: number }
    readonly out: ActorList
  }
  "hub:send": {
    readonly in: { readonly to?: Address.Address; readonly type: string; readonly data: unknown }
    readonly out: DeliveryAck
  }
  "hub:broadcast": {
    readonly in: { readonly type: string; readonly data: unknown; readonly excludeSelf?: boolean }
    readonly out: BroadcastAck
  }
  "hub:subscribe": { readonly in: Subscribe; readonly out: Subscribed }
  "hub:unsubscribe": {
    readonly in: { readonly topic: string } | { readonly subscriptionId: string }
    readonly out: { readonly topic: string }
  }
  "hub:publish": {
    readonly in: { readonly topic: string; readonly type: string; readonly data: unknown }
    readonly out: Published
  }
  "hub:watch": { readonly in: { readonly actorAddress: Address.Address }; readonly out: Watching }
  "hub:unwatch": {
    readonly in: { readonly actorAddress: Address.Address }
    readonly out: { readonly actorAddress: Address.Address }
  }
  "hub:presence": {
    readonly in: { readonly topic: string; readonly cursor?: string }
    readonly out: PresenceState
  }
  "hub:queue_stats": { readonly in: {}; readonly out: QueueStats }
  "hub:metrics": { readonly in: {}; readonly out: { readonly [metric: string]: number } }
  "hub:refresh_token": { readonly in: { readonly token: string }; readonly out: TokenRefreshed }
}
export type HubRequestType = keyof HubRequests

/** The type of the answer to a request. */
export const ANSWER_TYPE: { readonly [type in HubRequestType]: string } = {
  "hub:connect": "hub:connected",
  "hub:heartbeat": "hub:heartbeat_ack",
  "hub:disconnect": "hub:disconnect",
  "hub:register": "hub:registered",
  "hub:unregister": "hub:unregistered",
  "hub:renew": "hub:renewed",
  "hub:discover": "hub:discovered",
  "hub:list_actors": "hub:actor_list",
  "hub:send": "hub:delivery_ack",
  "hub:broadcast": "hub:broadcast_ack",
  "hub:subscribe": "hub:subscribed",
  "hub:unsubscribe": "hub:unsubscribed",
  "hub:publish": "hub:published",
  "hub:watch": "hub:watching",
  "hub:unwatch": "hub:unwatched",
  "hub:presence": "hub:presence_state",
  "hub:queue_stats": "hub:queue_stats_response",
  "hub:metrics": "hub:metrics_response",
  "hub:refresh_token": "hub:token_refreshed",
}

/** Messages that the hub sends unasked, and refusals, by type. */
export interface HubEvents {
  "hub:disconnect": { readonly reason: DisconnectReason; readonly message: string }
  "hub:terminated": Terminated
  "hub:presence_diff": PresenceDiff
  "hub:unregistered": { readonly actorAddress: Address.Address; readonly reason: "superseded" | "forbidden" }
  "hub:pause": { readonly actorAddress: Address.Address; readonly reason: string }
  "hub:resume": { readonly actorAddress: Address.Address }
  "hub:error": HubErrorPayload
  "hub:rate_limited": RateLimited
  "hub:unknown_actor": { readonly actorAddress: Address.Address; readonly message: string }
}
