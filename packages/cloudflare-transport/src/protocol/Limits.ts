/** Every number that bounds something, in one object. A deployment overrides them in `LIMITS` (JSON). */
import { TimeLimit } from "@signal-hub/actor-core/vocabulary"

/** The bounds of a hub or gateway. Times are in milliseconds and sizes in bytes, unless the name says otherwise. */
export interface Limits {
  /** Largest frame, in bytes. */
  readonly maxMessageSize: number
  /** How often a client pings, in milliseconds. Three silent intervals are death. */
  readonly heartbeatInterval: number
  /** How often the hub looks for the silent, in milliseconds. */
  readonly sweepInterval: number
  /** How long a socket may stay without `hub:connect`, in milliseconds. */
  readonly connectTimeout: number
  /** Failed `hub:connect`s after which a socket is closed. */
  readonly maxConnectFailures: number
  /** Undecodable frames or malformed envelopes in a row after which a socket is closed. */
  readonly maxStrikes: number
  /** Envelopes that a session may send: in a second, and at once after a quiet time. */
  readonly maxEnvelopesPerSecond: number
  readonly envelopeBurst: number
  /** Bytes that a session may send in frames: in a second, and at once after a quiet time. */
  readonly maxBytesPerSecond: number
  readonly byteBurst: number
  /** Values that a frame may hold: objects, arrays, texts, numbers, booleans, nulls, bytes; keys are none. */
  readonly maxValues: number
  /** Envelopes and frames refused `rate_limited` within `abuseWindow` after which a socket is closed. */
  readonly maxRefusals: number
  /** Takeovers of one identity within `abuseWindow`. */
  readonly maxTakeovers: number
  /** How long refusals and takeovers are counted together, in milliseconds. */
  readonly abuseWindow: number
  /**
   * Unacknowledged bytes of a session above which its senders are told to pause. From eight times as many on it is
   * sent nothing volatile.
   */
  readonly pauseThreshold: number
  /** Unacknowledged bytes below which they are told to resume. */
  readonly resumeThreshold: number
  /** Unacknowledged bytes above which a session's connection is closed. */
  readonly maxUnacknowledged: number
  /**
   * Bytes that may wait for the slow readers of one object together, beyond `pauseThreshold` of each. Where a message
   * more has no room, slow readers are sent nothing volatile; above it, one that has left half as much again as
   * `pauseThreshold` unread is closed once it is sent more.
   */
  readonly maxBacklog: number
  /** Bytes sent after which a reader of 1.0 must show, by a probe, that it has read so far. */
  readonly probeInterval: number
  /** The oldest major of the protocol that is served. */
  readonly minProtocolMajor: number
  /** Senders, by the address that they send to, that one slow reader's pause is told to. */
  readonly maxPausesPerSession: number
  readonly maxSessions: number
  readonly maxUnconnectedSockets: number
  /**
   * Sockets that the hub has closed and whose client has not answered that. Nothing else ends them, so that beyond it
   * upgrades without a valid token are refused.
   */
  readonly maxClosedSockets: number
  readonly maxRegistrations: number
  readonly maxAddressesPerSession: number
  readonly maxSubscriptionsPerSession: number
  readonly maxWatchesPerSession: number
  readonly maxAsksPerSession: number
  /** Tags of a registration or a session. */
  readonly maxCapabilities: number
  /** Metadata of a registration or of a client, in bytes of JSON. */
  readonly maxMetadataSize: number
  /** Entries on a page of discovery, listing or presence. */
  readonly maxPageSize: number
  /** Registration TTL, in seconds. */
  readonly defaultTtlSeconds: number
  readonly minTtlSeconds: number
  readonly maxTtlSeconds: number
  /** Grace of a session whose socket went, in seconds: the most, and the default by protocol major. */
  readonly maxSessionExpirySeconds: number
  readonly defaultSessionExpirySeconds: readonly [major0: number, major1: number]
  /** Time limit of an ask without `ttl`, in milliseconds. */
  readonly defaultAskTimeout: number
  /** Longest time limit of an ask, in milliseconds. A longer `ttl` is brought down to it. */
  readonly maxAskTimeout: number
  /** Age at which an open ask becomes a row, in milliseconds. */
  readonly askVolatileFor: number
  /** Envelopes of a session that may wait while an earlier one is worked on. */
  readonly maxParked: number
  /** The same of a connection that is not yet a session. */
  readonly maxParkedUnconnected: number
  /** Bytes of a connection that may wait so. */
  readonly maxParkedBytes: number
  /** Envelopes of a broadcast that are sent before others are served. */
  readonly broadcastSlice: number
  /** How long a durable subscription lives unused, in milliseconds. */
  readonly durableSubscriptionFor: number
  /**
   * How long an identity's epoch outlives its last session, in milliseconds. A gateway then deletes all that
   * it has stored, a topic after as long without anybody: to make tables again costs more than to keep them.
   */
  readonly identityKeptFor: number
  /** How long joins and leaves are gathered before they are told, in milliseconds. */
  readonly presenceWindow: number
  /** What may wait for a session's client to acknowledge it: envelopes, and bytes. */
  readonly maxOutboxEnvelopes: number
  readonly maxOutboxBytes: number
  /** Bytes of what waits that a new connection is sent before its client has acknowledged some. */
  readonly replayWindow: number
  /** How long the acknowledgment of reliable envelopes may wait for more of them, in milliseconds. */
  readonly ackInterval: number
  /** Reliable envelopes that are acknowledged at once. */
  readonly ackEvery: number
  /** Dead letters that are kept to look into. */
  readonly maxDeadLetters: number
  /** How long a call from one object to another may take, in milliseconds. */
  readonly callTimeout: number
  /** Messages that may wait in a gateway for one address. */
  readonly maxLane: number
  /** Subscribers that one object of a topic has itself; of further objects below it, the same number. */
  readonly topicNodeSize: number
}

// Those that a client goes by until its hub has told it others: by themselves, as a page downloads them.
/** Largest frame, in bytes. */
export const DEFAULT_MAX_MESSAGE_SIZE = 1_048_576
/** Time between two pings of a client, in milliseconds. */
export const DEFAULT_HEARTBEAT_INTERVAL = 25_000
/** Envelopes that a session may send in a second, for as long as it likes. */
export const DEFAULT_ENVELOPES_PER_SECOND = 200
/** Envelopes that a session may send at once after a quiet time. */
export const DEFAULT_ENVELOPE_BURST = 400
/** Bytes that a session may send in a second, for as long as it likes. */
export const DEFAULT_BYTES_PER_SECOND = 4 * 1_048_576
/** Bytes that a session may send at once after a quiet time. */
export const DEFAULT_BYTE_BURST = 16 * 1_048_576
/** Values that a frame may hold. */
export const DEFAULT_MAX_VALUES = 50_000
/** Unacknowledged bytes below which paused senders are told to resume. */
export const DEFAULT_RESUME_THRESHOLD = 262_144

/** The bounds of a deployment that overrides none. */
export const DEFAULT_LIMITS: Limits = {
  maxMessageSize: DEFAULT_MAX_MESSAGE_SIZE,
  heartbeatInterval: DEFAULT_HEARTBEAT_INTERVAL,
  sweepInterval: 60_000,
  connectTimeout: 5_000,
  maxConnectFailures: 3,
  maxStrikes: 10,
  maxEnvelopesPerSecond: DEFAULT_ENVELOPES_PER_SECOND,
  envelopeBurst: DEFAULT_ENVELOPE_BURST,
  maxBytesPerSecond: DEFAULT_BYTES_PER_SECOND,
  byteBurst: DEFAULT_BYTE_BURST,
  maxValues: DEFAULT_MAX_VALUES,
  maxRefusals: 100,
  maxTakeovers: 30,
  abuseWindow: 10_000,
  pauseThreshold: 1_048_576,
  resumeThreshold: DEFAULT_RESUME_THRESHOLD,
  maxUnacknowledged: 16 * 1_048_576,
  maxBacklog: 64 * 1_048_576,
  probeInterval: 1_048_576,
  minProtocolMajor: 0,
  maxPausesPerSession: 1_000,
  maxSessions: 10_000,
  maxUnconnectedSockets: 256,
  maxClosedSockets: 1_024,
  maxRegistrations: 50_000,
  maxAddressesPerSession: 1_000,
  maxSubscriptionsPerSession: 1_000,
  maxWatchesPerSession: 1_000,
  maxAsksPerSession: 1_000,
  maxCapabilities: 64,
  maxMetadataSize: 4_096,
  maxPageSize: 100,
  defaultTtlSeconds: 300,
  minTtlSeconds: 10,
  maxTtlSeconds: 3_600,
  maxSessionExpirySeconds: 3_600,
  defaultSessionExpirySeconds: [0, 60],
  defaultAskTimeout: TimeLimit.DEFAULT_ASK_TIMEOUT_MS,
  maxAskTimeout: TimeLimit.MAX_ASK_TIMEOUT_MS,
  askVolatileFor: 1_000,
  maxParked: 1_000,
  maxParkedUnconnected: 100,
  maxParkedBytes: 16 * 1_048_576,
  broadcastSlice: 1_000,
  durableSubscriptionFor: 7 * 24 * 3_600_000,
  identityKeptFor: 7 * 24 * 3_600_000,
  presenceWindow: 50,
  maxOutboxEnvelopes: 10_000,
  maxOutboxBytes: 16 * 1_048_576,
  replayWindow: 1_048_576,
  ackInterval: 250,
  ackEvery: 64,
  maxDeadLetters: 1_000,
  callTimeout: 10_000,
  maxLane: 1_000,
  topicNodeSize: 100,
}

/** Values in an envelope for which it costs one more of the envelopes that a session may send. */
export const VALUES_A_TOKEN = 500

/** Intervals of silence after which a session is dead. */
export const SILENT_INTERVALS = 3
