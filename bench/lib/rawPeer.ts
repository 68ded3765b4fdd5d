/** A peer that speaks plain text frames over `ws`, for servers that need no more of a client. */
import { WebSocket } from "ws"
import type { Payload, Peer } from "../Subject.ts"
import { makeEnvelope } from "./envelope.ts"

/** An open socket; rejects where it doesn't open. */
export const openSocket = (url: string, protocols: ReadonlyArray<string> = []): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false })
    socket.once("open", () => resolve(socket))
    socket.once("error", reject)
  })

/** Closes without a handshake to wait for: the server's side of closing isn't measured. */
export const endSocket = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.readyState === WebSocket.CLOSED) return resolve()
    socket.once("close", () => resolve())
    socket.terminate()
  })

/** A peer of a relay object: publishing is sending to `*`, and every other socket hears it. */
export const relayPeer = async (url: string, address: string): Promise<Peer> => {
  const socket = await openSocket(url)
  let listener: (payload: Payload) => void = () => {}
  socket.on("message", (data: Buffer) => listener(JSON.parse(data.toString()).payload))
  return {
    address,
    send: (to, payload) => socket.send(JSON.stringify(makeEnvelope(to, payload))),
    onMessage: (next) => {
      listener = next
    },
    subscribe: async () => {},
    publish: (payload) => socket.send(JSON.stringify(makeEnvelope("*", payload))),
    [Symbol.asyncDispose]: () => endSocket(socket),
  }
}
