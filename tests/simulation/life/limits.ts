/** Limits so small that what is bounded comes to its bounds. */

/** Of all lives. */
export const LIMITS = {
  broadcastSlice: 2,
  maxPageSize: 3,
  topicNodeSize: 2,
  maxTakeovers: 1_000,
  maxLane: 50,
  // Longer than a life, shorter than its end.
  identityKeptFor: 20 * 60_000,
}

/** Of some: readers are slow soon, replays go by pages, outboxes are full. */
export const TIGHT_LIMITS = {
  ...LIMITS,
  pauseThreshold: 3_000,
  probeInterval: 2_000,
  resumeThreshold: 1_000,
  maxUnacknowledged: 60_000,
  maxOutboxEnvelopes: 40,
  maxOutboxBytes: 20_000,
  replayWindow: 500,
  maxParked: 50,
}
