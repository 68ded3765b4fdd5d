/** Our gateways: through our own client, as a user has them, and through one that knows the protocol alone. */
import type { Address } from "@signal-hub/actor-core"
import { connect } from "@signal-hub/cloudflare-transport/client"
import type { Asker, GatewaySubject } from "../GatewaySubject.ts"
import { connectPlainly, HUB } from "../lib/protocolClient.ts"
import { expecting } from "../lib/requester.ts"
import { gatewayUrl, startGateways } from "./gatewayServer.ts"
import { webSocket } from "./signalHub.ts"

/** As what it is compared with: reliable asks have a suite of their own. */
const VOLATILE = { reliable: false }

const subject = (
  name: string,
  client: (url: string, identity: Address.Address, actor: Address.Address) => Promise<Asker>,
): GatewaySubject => ({
  name,
  start: async () => {
    const server = await startGateways()
    return {
      ...server,
      connect: (identity, actor) =>
        client(gatewayUrl(server, identity), identity as Address.Address, `@(counter/${actor})`),
      evict: (what, name) => server.evict(what === "gateway" ? "SESSION_GATEWAY" : "COUNTER", name),
    }
  },
})

export const gateways = subject("signal-hub", async (url, identity, actor) => {
  const hub = await connect(url, { identity, codec: "msgpack", webSocket })
  return {
    echo: (payload) => hub.ask(actor, "echo", payload, VOLATILE),
    add: (amount) => hub.ask(actor, "add", amount, VOLATILE),
    ping: () => hub.queueStats(),
    [Symbol.asyncDispose]: () => hub.close(),
  }
})

export const gatewaysJson = subject("signal-hub-json", async (url, identity, actor) => {
  const client = await connectPlainly(url, identity)
  const ask = (type: string, payload: unknown) =>
    expecting("actor:reply", client.request(actor, type, payload))
  return {
    echo: (payload) => ask("echo", payload),
    add: (amount) => ask("add", amount),
    ping: () => expecting("hub:queue_stats_response", client.request(HUB, "hub:queue_stats", {})),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
})
