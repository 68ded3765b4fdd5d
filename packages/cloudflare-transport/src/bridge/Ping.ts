/**
 * The bridge's forms of the heartbeat with further fields: `{"type":"PING", …}` and `{"type":"HEARTBEAT_PING", …}`.
 * They are no envelopes, as they have no `to`, and no strikes.
 */
import { bridgePong } from "../protocol/Frame.ts"

/** Longest text, in characters, that is looked at on a socket whose data frames are binary. */
const MAX_TEXT_LENGTH = 4_096
/** Longest `id` that is answered, in characters. */
const MAX_ID_LENGTH = 128

/**
 * Answers a decoded value that is no envelope.
 *
 * @param now Epoch milliseconds.
 * @returns The text frame to send, with the ping's `id` where it is a string of at most 128 characters or a
 * number; `undefined` where the value is no ping.
 */
export const pongFor = (value: unknown, now: number): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const { id, seq, to, type } = value as { readonly [field: string]: unknown }
  if ((type !== "PING" && type !== "HEARTBEAT_PING") || to !== undefined || seq !== undefined)
    return undefined
  const isId = typeof id === "string" ? id.length <= MAX_ID_LENGTH : Number.isFinite(id)
  return isId ? bridgePong(now, id as string | number) : bridgePong(now)
}

/** Answers a text frame on a socket that speaks msgpack, as `pongFor` does. */
export const pongForText = (frame: string | Uint8Array, now: number): string | undefined => {
  if (typeof frame !== "string" || frame.length > MAX_TEXT_LENGTH) return undefined
  try {
    return pongFor(JSON.parse(frame), now)
  } catch {
    return undefined
  }
}
