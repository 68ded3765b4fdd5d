/** The payloads of messages between a client and the hub, by name. Their fields are those of the tables. */
import type { AskError } from "@signal-hub/actor-core/vocabulary"
import type { AnswerOf, HubEvents, NoticeOf } from "./fromHub.ts"
import type { MetadataFields, PayloadToHub } from "./requests.ts"
import type { Sent } from "./Field.ts"

export * from "./Address.ts"
export type { Resume } from "./FieldRules.ts"
export type { HubEvents } from "./fromHub.ts"
export type { HubRequests, HubRequestType } from "./requests.ts"

/** Metadata of `hub:connect`, whose payload is null. */
export type ConnectMetadata = Sent<MetadataFields<"hub:connect">>
/** The answer to `hub:connect`: the session, and the bounds that its client keeps to. */
export type Connected = AnswerOf<"hub:connected">
/** Limits that a client needs, as `hub:connected` tells them. */
export type AdvertisedLimits = Connected["limits"]
/** A session of protocol 1.0: its numbers, and the secret that resumes it. */
export type ResumableSession = NonNullable<Connected["session"]>
/** The reason why a session was not resumed. */
export type NotResumedReason = NonNullable<ResumableSession["reason"]>

/** A registration that a client asks for. `ttlSeconds` is in seconds. */
export type Register = PayloadToHub<"hub:register">
/** A registration that is made or renewed. */
export type Registered = AnswerOf<"hub:registered">
/** A search among registrations, by address pattern and tags. */
export type Discover = PayloadToHub<"hub:discover">
/** A page of the registrations found. */
export type Discovered = AnswerOf<"hub:discovered">
/** A registration as others see it: without its renewal token. */
export type ActorEntry = Discovered["actors"][number]
/** A page of all registrations. */
export type ActorList = AnswerOf<"hub:actor_list">
/** The receipt for a `hub:send`: `queued` if the receiver's connection is lost and the message waits. */
export type DeliveryAck = AnswerOf<"hub:delivery_ack">
/** The receipt for a broadcast: its copies by what became of them. */
export type BroadcastAck = AnswerOf<"hub:broadcast_ack">
/** A subscription that a client asks for. */
export type Subscribe = PayloadToHub<"hub:subscribe">
/** A subscription that is made. */
export type Subscribed = AnswerOf<"hub:subscribed">
/** The receipt for a publication: the subscribers that were sent a copy. */
export type Published = AnswerOf<"hub:published">
/** The answer to `hub:watch`. `registered: false` is final: nothing follows. */
export type Watching = AnswerOf<"hub:watching">
/** The notice that a watched address has ended. */
export type Terminated = NoticeOf<"hub:terminated">
/** The reason why a registration ended. */
export type TerminatedReason = Terminated["reason"]
/** A page of the members of a topic. */
export type PresenceState = AnswerOf<"hub:presence_state">
/** A member of a topic, with the state of its connection. */
export type PresenceMember = PresenceState["members"][number]
/** Joins, leaves and changed connections on a topic since the last notice. */
export type PresenceDiff = NoticeOf<"hub:presence_diff">
/** A member that joined a topic or left it. */
export type PresenceChange = PresenceDiff["joined"][number]
/** A member whose connection was lost, or is there again. */
export type PresenceUpdate = NonNullable<PresenceDiff["updated"]>[number]
/** Figures of a session's queue and rate, measured. */
export type QueueStats = AnswerOf<"hub:queue_stats_response">
/** The answer to a new token. */
export type TokenRefreshed = AnswerOf<"hub:token_refreshed">
/** An acknowledgement of all that was received: cumulative, and not answered. */
export type Ack = PayloadToHub<"hub:ack">
/** A nonce after each MiB sent: the next `hub:ack` carries it, which shows that its sender has read so far. */
export type Probe = NoticeOf<"hub:probe">
/** The rejection of what exceeds a rate. Its times are in milliseconds. */
export type RateLimited = NoticeOf<"hub:rate_limited">
/** The reason why the hub closes a connection. */
export type DisconnectReason = HubEvents["hub:disconnect"]["reason"]

/** The payload of `actor:error`: an actor's failure, as it looks on the wire. */
export type ActorError = AskError.ActorErrorPayload
