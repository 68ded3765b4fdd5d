/**
 * What bounds each collection in memory and each table. Keys are as `LiveWalk` tells them; one that begins with `*`
 * is the end of one, where a record hangs in several places. Each says the limit, or whose number it is.
 */

export interface Bounds {
  readonly [where: string]: string
}

const LANES: Bounds = {
  "Lanes.#lanes":
    "maxLane items and maxOutboxBytes of one target; a target for as long as a call is under way, callTimeout",
  "Lanes.#ready": "no more than #lanes",
}

const CONFIGURED: Bounds = {
  "*.limits.defaultSessionExpirySeconds": "one for each major version: configuration",
  "*.#limits.defaultSessionExpirySeconds": "one for each major version: configuration",
}

const NOTICES: Bounds = { "Notices.#telling": "rows of notice that are on their way, each for callTimeout" }

const PRESENCE: Bounds = {
  "News.changes": "members of a topic that joined or left within presenceWindow",
  "News.updates": "members of a topic that lost or got their connection within presenceWindow",
  "Presence.#topics": "topics that changed within presenceWindow",
}

const TABLES: Bounds = {
  "Tables.#made": "tables of the schema",
  "Tables.#schema": "tables of the schema: a constant",
  "Tables.#schema{}.indexes": "indexes of the schema: a constant",
}

/** Of hubs, and of what a gateway has in common with them. */
const HUB_CORE: Bounds = {
  ...CONFIGURED,
  ...PRESENCE,
  "Asks.#open": "maxAsksPerSession of each session, each for maxAskTimeout",
  "DeadLetters.#ring": "maxDeadLetters",
  "EncodeFailures.#failures": "envelopes of one event that could not be encoded",
  "Flow.#probes":
    "MAX_PROBES: one each maxUnacknowledged / MAX_PROBES, and at that much the connection closes",
  "IngressQueue.#writes": "one of each connection: maxSessions and maxUnconnectedSockets",
  "PausedSenders.#told": "readers that are slow: maxSessions; maxPausesPerSession of each",
  "LifecycleEvents.#listeners": "parts of the hub that subscribe: a constant",
  "Registry.#absent": "MOST_ABSENT",
  "Registry.#cache": "MAX_CACHE_BYTES",
  "Registry.#cache{}.capabilities": "maxCapabilities",
  "Sequences.#acknowledged": "sessions that acknowledged in this turn: maxSessions",
  "Sequences.#filled": "sessions whose outbox grew in this turn: maxSessions",
  "Sequences.#moved": "sessions that sent in this turn: maxSessions",
  "Sequences.#owed": "sessions that sent within ackInterval: maxSessions",
  "Sessions.#byId": "maxSessions",
  "Sessions.#byIdentity": "maxSessions",
  "*.asked": "maxAsksPerSession",
  "*.answering": "asks that are open: maxAsksPerSession of each who asks",
  "*.probes": "those of Flow.#probes, in the socket's attachment",
  "*.positions.addresses": "MAX_POSITIONS",
  "*.outgoing": "what a turn sends on one connection: below maxUnacknowledged, or the connection closes",
  "SpentRates.#byIdentity": "MOST, and the time until a bucket is full again",
  "Topic.#byOwner": "maxSubscriptionsPerSession of each session",
  "Topics.#topics": "maxSubscriptionsPerSession of each session",
  "PendingConnections.#waiting": "maxUnconnectedSockets",
}

/** Of what calls other objects, beside that. */
const NEIGHBORS: Bounds = {
  ...LANES,
  ...NOTICES,
  "Outbound.#callers": "requests of Workers that are open, each for its timeout",
  "Outbound.#resumed": "lanes with a call under way: no more than Lanes.#lanes",
  "GatewayPeers.#losses": "topics of the sessions here: maxSubscriptionsPerSession",
  "GatewayPeers.watching": "topics of the sessions here: maxSubscriptionsPerSession",
  "SureLanes.#filled": "lanes that were given something in this turn",
  "SureLanes.#known": "lanes with rows of sending: see there",
  "SureLanes.#settled": "rows of which something was settled in this turn",
  "Watermarks.#known": "MOST_KNOWN",
  "Watermarks.#moved": "lines that something came in within this turn",
  "Whereabouts.#hints": "MOST_HINTS",
}

export const MEMORY: { readonly [kind: string]: Bounds } = {
  hub: HUB_CORE,
  gateway: { ...HUB_CORE, ...NEIGHBORS },
  topic: {
    ...CONFIGURED,
    ...LANES,
    ...PRESENCE,
    "TopicCore.#below": "topicNodeSize: the branches of an object of a topic",
    "TopicCore.#members": "topicNodeSize",
  },
  directory: {
    ...CONFIGURED,
    ...LANES,
    ...NOTICES,
    "DirectoryCore.#claims": "claims of which a gateway is being asked, each for callTimeout",
  },
  actor: {
    ...LANES,
    ...TABLES,
    "Asks.#open": "asks of the program that are open, each for its timeout",
    "Border.transports": "one: the object's",
    "Callers.#waiting": "requests of Workers that are open, each for its timeout",
    "Courier.#calling": "targets with rows of actor_outbox",
    "DeadLetterOffice.#listeners": "listeners of the program",
    "DeadLetterOffice.#ring": "the capacity that the program gives, 1,000 by default, and 16 MiB",
    "Deadlines.#heap": "timers and asks of the program",
    "DurableHost.#signals": "signals until the actor has begun: of its own watches",
    "DurableJournal.#staged": "writes of one message of the program",
    "DurableTimers.#dueAt": "timers of the program: rows of actor_timer",
    "EventStream:listeners": "listeners of the program",
    "Events.#listeners": "kinds of events that the program listens for",
    "Events.#listeners{}": "listeners of the program",
    "Inbox.#older": "MOST_RECENT and MAX_RECENT_BYTES",
    "Inbox.#recent": "MOST_RECENT and MAX_RECENT_BYTES",
    "Inbox.#remembers": "MOST_SENDERS",
    "Inbox.#taken":
      "what is in the actor's mailbox: its capacity, and the platform's bound of calls under way",
    "Kind.#watchers": "watchers within the actor's system: of the program",
    "Kind.active": "one: the object's own actor",
    "MicrotaskDispatcher.#ready": "actors of the object's system that have something to do",
    "OwnMessages.#coming": "timers and answers that are being handled: rows of actor_timer and actor_ask",
    "PersistentCellContext.#given": "answers of one message of the program",
    "PersistentCellContext.#owed": "answers that one message of the program puts off",
    "Runtime.#fibers": "effects of the program that run",
    "Runtime.cells": "actors of the object's system: of the program",
    "Runtime.virtuals": "one: the object's own kind",
    "Streams.#open": "streams that the actor gives: rows of actor_stream",
    "Watching.#telling": "rows of actor_watching",
  },
  /** The Durable Objects around these. */
  objects: {
    ...TABLES,
    "HubPeers.watching": "watches of the sessions here that are being begun, each for callTimeout",
    "ObjectRuntime.#deferred": "calls that one event leads to",
    "ObjectRuntime.#parts": "two: sockets and calls",
    "ObjectRuntime.#unfulfilled":
      "calls of other objects that are not answered yet, each for callTimeout of its caller",
    "RoutingTable.#routes": "routes of the deployment",
    "Stubs.#kept": "MOST",
    "ObjectTimers.#waiting":
      "one for each of what waits: calls under way, tokens that are verified, asks in memory",
    "WebSocketBridge.#connections":
      "maxSessions and maxUnconnectedSockets; of closed ones maxClosedSockets, and upgrades with a token",
    "WebSocketBridge.#notEncoded": "envelopes of one event that could not be encoded",
    "WebSocketBridge.#dirty": "connections that are sent something in this turn",
  },
  client: {
    "Channel.#first": "frames of one connection that come before all others: the program's and hub:ack",
    "Connection:state.session.capabilities.supportedContentTypes":
      "named by the hub at connect, within maxMessageSize",
    "Connection:state.session.supportedVersions": "named by the hub at connect, within maxMessageSize",
    "Emitter.#kept": "KEPT, or what its owner says",
    "Emitter.#places": "listeners of the program",
    "Inbox.paused": "addresses that this client sends to, on one connection",
    "Inbox.topics": "topics that the program listens to",
    "Journal.#changes": "what is written in one turn: no more than #orders, and the session",
    "Journal.#found":
      "messages of an earlier process that are not acknowledged: MOST of Unacknowledged and the queue",
    "Journal.#orders": "reliable messages that are not acknowledged: MOST of Unacknowledged and the queue",
    "Journal.#steps": "steps of the schema: a constant",
    "Journal.#store.entries": "what was stored when the store was opened",
    "Journal.#waiting": "frames of one turn that wait for a write",
    "Outgoing.#parts": "what one frame holds: maxMessageSize",
    "PendingAsks.#asks": "asks of the program that are open, each for its timeout",
    "Receivers.#counts": "addresses of what is in #waiting",
    "Receivers.#expected": "addresses at which the program is about to serve an actor",
    "Receivers.#receivers": "actor systems of the program",
    "Receivers.#waiting": "MAX_UNCLAIMED and MAX_UNCLAIMED_BYTES, once for what is reliable and once for all",
    "SendQueue.#waiting": "queueLimit",
    "Sender.#paused": "the set of Inbox.paused",
    "Unacknowledged.#sent": "MOST and MOST_BULK",
    "Wakeups:stops": "wakeups that the program gives",
    "Wanted.#entries": "subscriptions, registrations and watches of the program",
    "Wanted.#undone": "what the program has ended while there was no connection",
  },
}

const WATCHED = "maxWatchesPerSession of each watcher"
const NOTICED = "what ended and others must hear, for MOST_ATTEMPTS, about a day"

const HUB_TABLES: Bounds = {
  ask: "maxAsksPerSession of each session",
  identity: "identities that connected within identityKeptFor, 7 days",
  notice: NOTICED,
  numbers: "one row",
  outbox: "maxOutboxEnvelopes and maxOutboxBytes of each session",
  pause: "maxPausesPerSession of each session",
  registration: "maxRegistrations, maxAddressesPerSession",
  sending:
    "maxLane and maxOutboxBytes of each lane, for MOST_ATTEMPTS, about a day; only to whom can't be reached",
  session: "maxSessions",
  subscription:
    "maxSubscriptionsPerSession of each identity; durable ones for durableSubscriptionFor, 7 days",
  watch: WATCHED,
  watermark: "senders of reliable messages within DEDUPE_WINDOW, 7 days; one row each",
}

export const STORED: { readonly [kind: string]: Bounds } = {
  hub: HUB_TABLES,
  gateway: HUB_TABLES,
  topic: { below: "topicNodeSize", member: "topicNodeSize" },
  directory: {
    entry: "maxAddressesPerSession of each identity of its share, for their leases",
    notice: NOTICED,
    watch: WATCHED,
  },
  actor: {
    actor_ask: "asks of the program, each for its timeout",
    actor_handled: "what came reliably within DEDUPE_WINDOW, 7 days",
    actor_inbox: "what is in the actor's mailbox",
    actor_line: "one row",
    actor_outbox: "what the program sends, for MOST_ATTEMPTS, about a day",
    actor_owed: "answers that the program puts off, each for the ask's timeout",
    actor_receive_timeout: "one row",
    actor_snapshot: "one row, of the actor's state",
    actor_stream: "asks of streams that are open",
    actor_timer: "timers of the program",
    actor_watcher: "actors that watch this one",
    actor_watching: "actors that the program watches",
  },
}
