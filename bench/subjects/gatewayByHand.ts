/** The hand-written gateways in bare workerd, to which the ratios are. */
import { join } from "node:path"
import type { GatewaySubject } from "../GatewaySubject.ts"
import { expecting, requester } from "../lib/requester.ts"
import { startWorkerd, type Workerd } from "../lib/workerd.ts"

export const startByHand = (storage?: string): Promise<Workerd> =>
  startWorkerd({
    script: join(import.meta.dirname, "gatewayByHand.worker.ts"),
    durableObjects: { GATEWAY: "Gateway", COUNTER: "Counter", ROOM: "Room" },
    ...(storage !== undefined && { storage }),
  })

export const gatewayByHand: GatewaySubject = {
  name: "by hand",
  start: async () => {
    const server = await startByHand()
    return {
      ...server,
      connect: async (identity, actor) => {
        const url = `ws://127.0.0.1:${server.port}/gateway/${encodeURIComponent(identity)}`
        const client = await requester(url)
        const ask = (type: string, payload: unknown) =>
          expecting("answer", client.request(actor, type, payload))
        return {
          echo: (payload) => ask("echo", payload),
          add: (amount) => ask("add", amount),
          ping: () => ask("ping", null),
          [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
        }
      },
      evict: (what, name) =>
        what === "gateway"
          ? server.evict("GATEWAY", encodeURIComponent(name))
          : server.evict("COUNTER", name),
    }
  },
}
