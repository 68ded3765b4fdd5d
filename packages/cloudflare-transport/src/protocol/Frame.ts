/** What is agreed about frames beside their codec: subprotocols and the heartbeat. */
import { Envelope, JsonCodec } from "@signal-hub/actor-core/vocabulary"

export const SUBPROTOCOL_JSON: string = JsonCodec.subprotocol
export const SUBPROTOCOL_MSGPACK = "signal-hub.msgpack"
/** Prefix of the offered subprotocol that carries a token. Never echoed, never logged. */
export const SUBPROTOCOL_BEARER_PREFIX = "signal-hub.bearer."

/** The heartbeat, to the byte: the runtime answers it by an exact match, waking nothing. */
export const PING = '{"type":"ping"}'
export const PONG = '{"type":"pong"}'
/** The bridge's form of the heartbeat, answered `{"type":"PONG","timestamp":<ms>}`. */
export const BRIDGE_PING = '{"type":"PING"}'
export const bridgePong = (now: number): string => `{"type":"PONG","timestamp":${now}}`

/** The frame's bytes on the wire; a text is only counted where its length leaves open if `max` is kept. */
export const frameBytes = (frame: string | ArrayBuffer | Uint8Array, max: number): number => {
  if (typeof frame !== "string") return frame.byteLength
  return frame.length > max || frame.length * 3 <= max ? frame.length : Envelope.utf8Length(frame)
}
