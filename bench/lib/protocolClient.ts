/** What a client needs that was written against the protocol alone: its first request. */
import { expecting, type Requester, requester } from "./requester.ts"

export const HUB = "@(cloudflare/signal-hub)"

/** Says who it is; rejects where that is refused. Resolves when the answer is there. */
export const sayHello = (client: Requester, identity: string): Promise<unknown> => {
  const metadata = { protocolVersion: "0.1.0", actorIdentity: identity }
  return expecting("hub:connected", client.request(HUB, "hub:connect", null, metadata))
}

/** A connected client. */
export const connectPlainly = async (url: string, identity: string): Promise<Requester> => {
  const client = await requester(url)
  await sayHello(client, identity)
  return client
}
