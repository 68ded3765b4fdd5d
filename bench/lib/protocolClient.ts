/** What a client needs that was written against the protocol alone: its first request. */
import { expecting, type Requester, requester } from "./requester.ts"

export const HUB = "@(cloudflare/signal-hub)"

const PING = '{"type":"ping"}'
/** A hub counts what it sends to a reader of 0.1 from ping to ping: this one reads fast. */
const PING_EVERY = 1_000

/** Says who it is; rejects where that is refused. Resolves when the answer is there. Pings from then on. */
export const sayHello = (client: Requester, identity: string): Promise<unknown> => {
  const pings = setInterval(() => client.socket.send(PING), PING_EVERY)
  client.socket.once("close", () => clearInterval(pings))
  const metadata = { protocolVersion: "0.1.0", actorIdentity: identity }
  return expecting("hub:connected", client.request(HUB, "hub:connect", null, metadata))
}

/** A connected client. */
export const connectPlainly = async (url: string, identity: string): Promise<Requester> => {
  const client = await requester(url)
  await sayHello(client, identity)
  return client
}
