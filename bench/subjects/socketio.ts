/** Socket.IO on Node, in a process of its own: no Durable Object and nothing durable. */
import { fork } from "node:child_process"
import { join } from "node:path"
import { io } from "socket.io-client"
import type { Payload, Peer, Subject } from "../Subject.ts"
import { own } from "../lib/childProcess.ts"
import { makeEnvelope } from "../lib/envelope.ts"

export const socketIo: Subject = {
  name: "socket.io",
  start: async () => {
    const child = fork(join(import.meta.dirname, "socketio.server.ts"))
    const owned = own(child)
    const port = await Promise.race([
      new Promise<number>((resolve) => {
        child.once("message", (message) => resolve(Number(message)))
      }),
      owned.ended.then(() => Promise.reject(new Error("the Socket.IO server did not start"))),
    ])
    return {
      pid: child.pid!,
      port,
      connect: (address, via = port) => connect(`http://127.0.0.1:${via}`, address),
      [Symbol.asyncDispose]: owned.end,
    }
  },
}

const connect = (url: string, address: string): Promise<Peer> =>
  new Promise((resolve, reject) => {
    const socket = io(url, {
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      auth: { address },
    })
    let listener: (payload: Payload) => void = () => {}
    socket.on("envelope", (envelope: { readonly payload: Payload }) => listener(envelope.payload))
    socket.once("connect_error", reject)
    socket.once("connect", () =>
      resolve({
        address,
        send: (to, payload) => socket.emit("envelope", makeEnvelope(to, payload)),
        onMessage: (next) => {
          listener = next
        },
        subscribe: async () => {},
        publish: (payload) => socket.emit("envelope", makeEnvelope("*", payload)),
        [Symbol.asyncDispose]: async () => {
          socket.disconnect()
        },
      }),
    )
  })
