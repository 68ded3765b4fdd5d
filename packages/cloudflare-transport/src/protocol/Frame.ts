/** Frames beside their codec: subprotocols, the heartbeat, and sizes. */
import { Envelope, JsonCodec } from "@signal-hub/actor-core/vocabulary"

/** The subprotocol of text frames, each a JSON object or array. */
export const SUBPROTOCOL_JSON: string = JsonCodec.subprotocol
/** The subprotocol of binary frames, each a batch in positional form. */
export const SUBPROTOCOL_MSGPACK = "signal-hub.msgpack"
/** Prefix of the offered subprotocol that carries a token. Never echoed, never logged. */
export const SUBPROTOCOL_BEARER_PREFIX = "signal-hub.bearer."

/** The heartbeat, to the byte: the runtime answers it by an exact match, waking nothing. */
export const PING = '{"type":"ping"}'
/** The answer to the heartbeat, to the byte. */
export const PONG = '{"type":"pong"}'
/** The bridge's form of the heartbeat, answered `{"type":"PONG","timestamp":<ms>}`. */
export const BRIDGE_PING = '{"type":"PING"}'
/** The answer to the bridge's form of the heartbeat, with the ping's `id` where it has one. */
export const bridgePong = (now: number, id?: string | number): string =>
  id === undefined
    ? `{"type":"PONG","timestamp":${now}}`
    : `{"type":"PONG","timestamp":${now},"id":${JSON.stringify(id)}}`

/** Characters from which the bytes of a text are counted: those of a shorter one are few in any case. */
const COUNTED_FROM = 1_024

/** The bytes that a frame counts for by the rate. A text longer than `max` is not looked at. */
export const ratedBytes = (frame: string | ArrayBuffer | Uint8Array, max: number): number => {
  if (typeof frame !== "string") return frame.byteLength
  const isCounted = frame.length >= COUNTED_FROM && frame.length <= max
  return isCounted ? Envelope.utf8Length(frame) : frame.length
}

/** The frame's bytes on the wire; a text is only counted where its length leaves open if `max` is kept. */
export const frameBytes = (frame: string | ArrayBuffer | Uint8Array, max: number): number => {
  if (typeof frame !== "string") return frame.byteLength
  return frame.length > max || frame.length * 3 <= max ? frame.length : Envelope.utf8Length(frame)
}
