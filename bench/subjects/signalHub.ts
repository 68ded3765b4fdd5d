/** Our hub through our own client, msgpack in batches, as a user has it; only the socket is `ws`, as for all. */
import type { Address } from "@signal-hub/actor-core"
import { connect, type OpenSocket, type SocketLike } from "@signal-hub/cloudflare-transport/client"
import { WebSocket } from "ws"
import type { Payload, Peer, Subject } from "../Subject.ts"
import { TYPE } from "../lib/envelope.ts"
import { startHub } from "./hubServer.ts"

const TOPIC = "bench"

const subject = (name: string, reliable: boolean): Subject => ({
  name,
  start: async () => {
    const server = await startHub()
    return {
      ...server,
      connect: (address, port = server.port) => connectPeer(`ws://127.0.0.1:${port}/ws`, address, reliable),
    }
  },
})

export const signalHub = subject("signal-hub", false)
/** The same, but all that is sent to an address is sent reliably. */
export const signalHubReliable = subject("signal-hub-reliable", true)

/** `ws` has the methods of the platform's WebSocket, but types its events more narrowly. */
export const webSocket: OpenSocket = (url, protocols) =>
  new WebSocket(url, [...protocols], { perMessageDeflate: false }) as unknown as SocketLike

export const connectPeer = async (url: string, address: string, reliable: boolean): Promise<Peer> => {
  const hub = await connect(url, {
    identity: address as Address.Address,
    codec: "msgpack",
    webSocket,
  })
  let listener: (payload: Payload) => void = () => {}
  hub.onMessage(({ payload }) => listener(payload as Payload))
  return {
    address,
    send: (to, payload) => hub.tell(to as Address.Address, TYPE, payload, { reliable }),
    onMessage: (next) => {
      listener = next
    },
    subscribe: async () => {
      await hub.onPublication(TOPIC, ({ payload }) => listener(payload as Payload))
    },
    publish: (payload) => void hub.publish(TOPIC, TYPE, payload),
    [Symbol.asyncDispose]: () => hub.close(),
  }
}
