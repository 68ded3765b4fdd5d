/** The bridge as a transport of actor systems, in a Durable Object; the other end is a client on a socket. */
import { runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { type Address, Envelope, JsonCodec, type Transport } from "@signal-hub/actor-core"
import { TransportConformance } from "@signal-hub/actor-core/testing"
import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import { provisionalAddress } from "../../src/protocol/HubMessage.ts"
import type { Host } from "./Host.ts"

const ACTOR: Address.Address = "@(host/actor)"

/** A client of the host: it sends and receives frames, and is reached at the address of its connection. */
const client = Effect.fnUntraced(function* (host: Host) {
  const { webSocket } = host.fetch(new Request("https://host/ws", { headers: { Upgrade: "websocket" } }))
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => {
      webSocket!.accept()
      return webSocket!
    }),
    (socket) => Effect.sync(() => socket.close(1000)),
  )
  const transport: Transport = {
    send: (envelope) => void socket.send(JsonCodec.encode([envelope])),
    receive: (receiver) => {
      const listener = ({ data }: MessageEvent): void => {
        for (const value of JsonCodec.decode(data as string)) {
          const envelope = Envelope.check(value)
          if (!(envelope instanceof Envelope.Malformed)) receiver(envelope)
        }
      }
      return Effect.acquireRelease(
        Effect.sync(() => socket.addEventListener("message", listener)),
        () => Effect.sync(() => socket.removeEventListener("message", listener)),
      )
    },
    register: () => Effect.void,
  }
  // A client hears its address nowhere; this one is the only one.
  const [connection] = host.transport.bridge.connections()
  return { transport, address: provisionalAddress(connection!.id) }
})

const subjectOf = (host: Host): TransportConformance.Subject => ({
  near: Effect.succeed({ transport: host.transport, address: ACTOR }),
  far: client(host),
  nobody: "@(session/nobody)",
  // Whoever connects reaches every actor of the object, which has its connections for life.
  registers: false,
  endsAsks: false,
  closes: false,
  watches: false,
})

const names = TransportConformance.cases(subjectOf({} as Host)).map(({ name }) => name)

it.each(names)("%s", async (name) => {
  const host = env.HOST.get(env.HOST.newUniqueId())
  const failure = await runInDurableObject(host, async (instance) => {
    const found = TransportConformance.cases(subjectOf(instance)).find((one) => one.name === name)
    const exit = await Effect.runPromiseExit(found!.run)
    return exit._tag === "Success" ? null : String(exit.cause)
  })
  expect(failure).toBeNull()
})
