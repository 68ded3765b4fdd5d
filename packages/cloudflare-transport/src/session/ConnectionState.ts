/**
 * The states of a session's connection, and the only ways from one to another:
 * `connecting → connected → disconnecting → disconnected`, and from `connecting` or `connected`
 * straight to `disconnected`.
 */

export type ConnectionState = "connecting" | "connected" | "disconnecting" | "disconnected"

const NEXT: { readonly [from in ConnectionState]: ReadonlyArray<ConnectionState> } = {
  connecting: ["connected", "disconnected"],
  connected: ["disconnecting", "disconnected"],
  disconnecting: ["disconnected"],
  disconnected: [],
}

/** Whether a connection in state `from` may go to `to`. */
export const canGo = (from: ConnectionState, to: ConnectionState): boolean => NEXT[from].includes(to)
