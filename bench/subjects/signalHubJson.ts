/**
 * Our hub as a client sees it that was written against the protocol alone: version 0.1, plain JSON,
 * one envelope a frame, over `ws`.
 */
import type { Payload, Peer, Subject } from "../Subject.ts"
import { makeEnvelope, TYPE } from "../lib/envelope.ts"
import { endSocket, openSocket } from "../lib/rawPeer.ts"
import { startHub } from "./hubServer.ts"

const HUB = "@(cloudflare/signal-hub)"
const TOPIC = "bench"

export const signalHubJson: Subject = {
  name: "signal-hub-json",
  start: async () => {
    const server = await startHub()
    return {
      ...server,
      connect: (address, port = server.port) => connect(`ws://127.0.0.1:${port}/ws`, address),
    }
  },
}

interface Received {
  readonly type: string
  readonly correlationId: string | null
  readonly payload: unknown
}

const connect = async (url: string, address: string): Promise<Peer> => {
  const socket = await openSocket(url)
  let listener: (payload: Payload) => void = () => {}
  const answers = new Map<string, (answer: Received) => void>()
  socket.on("message", (data: Buffer) => {
    const envelope: Received = JSON.parse(data.toString())
    if (envelope.type === TYPE) listener(envelope.payload as Payload)
    else answers.get(envelope.correlationId ?? "")?.(envelope)
  })
  const request = async (type: string, payload: unknown, metadata: object, expected: string) => {
    const envelope = { ...makeEnvelope(HUB, null), type, payload, metadata }
    const answer = await new Promise<Received>((resolve) => {
      answers.set(envelope.id, resolve)
      socket.send(JSON.stringify(envelope))
    })
    answers.delete(envelope.id)
    if (answer.type !== expected) throw new Error(`${type}: ${JSON.stringify(answer.payload)}`)
  }
  await request("hub:connect", null, { protocolVersion: "0.1.0", actorIdentity: address }, "hub:connected")
  return {
    address,
    send: (to, payload) => socket.send(JSON.stringify(makeEnvelope(to, payload))),
    onMessage: (next) => {
      listener = next
    },
    subscribe: () => request("hub:subscribe", { topic: TOPIC }, {}, "hub:subscribed"),
    publish: (data) => {
      const envelope = makeEnvelope(HUB, { topic: TOPIC, type: TYPE, data })
      socket.send(JSON.stringify({ ...envelope, type: "hub:publish" }))
    },
    [Symbol.asyncDispose]: () => endSocket(socket),
  }
}
