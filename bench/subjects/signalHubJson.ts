/**
 * Our hub as a client sees it that was written against the protocol alone: version 0.1, plain JSON,
 * one envelope a frame, over `ws`.
 */
import type { Payload, Peer, Subject } from "../Subject.ts"
import { makeEnvelope, TYPE } from "../lib/envelope.ts"
import { connectPlainly, HUB } from "../lib/protocolClient.ts"
import { expecting } from "../lib/requester.ts"
import { startHub } from "./hubServer.ts"

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

const connect = async (url: string, address: string): Promise<Peer> => {
  const client = await connectPlainly(url, address)
  return {
    address,
    send: (to, payload) => client.send(makeEnvelope(to, payload)),
    onMessage: (listener) =>
      client.onOther(({ type, payload }) => {
        if (type === TYPE) listener(payload as Payload)
      }),
    subscribe: async () => {
      await expecting("hub:subscribed", client.request(HUB, "hub:subscribe", { topic: TOPIC }))
    },
    publish: (data) => {
      const envelope = makeEnvelope(HUB, { topic: TOPIC, type: TYPE, data })
      client.send({ ...envelope, type: "hub:publish" })
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}
