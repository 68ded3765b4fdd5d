/**
 * The port to a WebSocket: what the client needs of one, in browsers, Node and Workers alike, and no
 * more, so that a test can script it.
 */

/** The part of the standard `WebSocket` that is used. */
export interface SocketLike {
  binaryType: string
  /** 1 while data may be sent. */
  readonly readyState: number
  /** The subprotocol that the server chose, once the socket is open; "" where it chose none. */
  readonly protocol?: string | undefined
  /** Bytes that were sent and have not left; absent in Workers. */
  readonly bufferedAmount?: number
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: SocketEvent) => void): void
  removeEventListener(
    type: "open" | "message" | "close" | "error",
    listener: (event: SocketEvent) => void,
  ): void
}

/** What is read off the four events of a socket. */
export interface SocketEvent {
  readonly message?: string
  readonly data?: unknown
  readonly code?: number
  readonly reason?: string
}

/** Begins a connection: `url` is ws(s), `protocols` are offered in this order. May throw. */
export type OpenSocket = (url: string, protocols: ReadonlyArray<string>) => SocketLike

/** Opens the platform's own `WebSocket`. */
export const openWebSocket: OpenSocket = (url, protocols) => {
  const { WebSocket } = globalThis as unknown as {
    readonly WebSocket?: new (url: string, protocols: ReadonlyArray<string>) => SocketLike
  }
  if (WebSocket === undefined) {
    throw new Error("this platform has no WebSocket: use Node 22 or later, or pass `webSocket`")
  }
  return new WebSocket(url, protocols)
}

/**
 * The ws(s) form of an http(s) or ws(s) URL. A gateway of an open deployment must know before the first frame
 * whose it is: the `identity` goes into the query.
 */
export const socketUrl = (url: string | URL, identity?: string): string => {
  const socket = new URL(url)
  socket.protocol = socket.protocol.replace("http", "ws")
  if (identity !== undefined) socket.searchParams.set("identity", identity)
  return socket.href
}
