/** Who takes part in tests of a whole deployment: clients at gateways and in a hub, and durable actors. */
import { env } from "cloudflare:workers"
import { expect } from "vitest"
import { type Came, SocketClient } from "./SocketClient.ts"
import worker from "./worker.ts"

let count = 0
/** A name that no other test has. */
export const newName = (): string => `reach-${++count}`

export const open = async (path: string): Promise<SocketClient> => {
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const fetch = worker.fetch as (request: Request, env: unknown, context: unknown) => Promise<Response>
  return SocketClient.open(
    { fetch: (request) => fetch(new Request(request, { headers: { Upgrade: "websocket" } }), env, context) },
    undefined,
    `https://hub.example${path}`,
  )
}

export interface Party {
  readonly client: SocketClient
  readonly address: string
}

export const connected = async (path: string, address: string, protocolVersion = "0.1.0"): Promise<Party> => {
  const client = await open(path)
  const metadata = { sessionExpirySeconds: 60, protocolVersion }
  expect(await client.connect(address, metadata)).toMatchObject({ type: "hub:connected" })
  return { client, address }
}
/** A client of a gateway of its own. */
export const atGateway = (address = `@(user/${newName()})`, version?: string) =>
  connected(`/gateway?identity=${encodeURIComponent(address)}`, address, version)
/** A client of the hub that the table leads to. */
export const inHub = (address = `@(player/${newName()})`, version?: string) =>
  connected("/ws/lobby", address, version)

export const KINDS = [
  ["a client of a gateway", atGateway],
  ["a client of a hub", inHub],
] as const

export const newSteward = () => {
  const name = newName()
  return { address: `@(steward/${name})`, stub: env.STEWARD.getByName(name) }
}

export const asks = (
  client: SocketClient,
  to: string,
  type: string,
  payload: unknown = null,
  more: object = {},
) => client.send({ to, type, payload, pattern: "ask", ...more })

export const ask = async (
  client: SocketClient,
  to: string,
  type: string,
  payload: unknown = null,
): Promise<Came> => {
  const id = asks(client, to, type, payload)
  const answer = await client.came()
  expect(answer.correlationId).toBe(id)
  return answer
}

export const answers = (client: SocketClient, question: Came, payload: unknown, more: object = {}): void =>
  void client.send({
    from: question.to,
    to: question.from,
    type: "actor:reply",
    correlationId: question.id,
    payload,
    ...more,
  })
