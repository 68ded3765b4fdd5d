/** The protocol that the tests speak, and worlds with two systems, or one that is both. */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as ActorSystem from "../../src/ActorSystem.ts"
import type { Address } from "../../src/Address.ts"
import { MsgPackCodec } from "../../src/codec/MsgPackCodec.ts"
import type { Handlers } from "../../src/Handlers.ts"
import * as InMemoryTransport from "../../src/InMemoryTransport.ts"
import * as Protocol from "../../src/Protocol.ts"

export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { why: Schema.String }) {}

export const Greeter = Protocol.make("greeter", {
  greet: Protocol.ask({
    payload: Schema.Struct({ name: Schema.String }),
    success: Schema.String,
    error: Rejected,
  }),
  count: Protocol.ask({ payload: Schema.Number, success: Schema.Number }),
  when: Protocol.ask({ payload: Schema.Date, success: Schema.Date }),
  note: Protocol.tell({ payload: Schema.Struct({ text: Schema.String }) }),
})

export const GREETER: Address = "@(node/greeter)"

/** Handlers that do what is expected of them; a test overrides what it is about. */
export const greeter = <R = never>(
  own: Partial<Handlers<typeof Greeter, R>> = {},
): Handlers<typeof Greeter, R> => ({
  greet: ({ name }) => `hello ${name}`,
  count: (n) => n,
  when: (date) => date,
  note: () => undefined,
  ...own,
})

/** Where the asked actor is: in the asker's own system, or in another, behind a codec. */
export const worlds = ["local", "JSON", "msgpack"] as const

/** A system that serves and one that asks. */
export const makeWorld = Effect.fnUntraced(function* (kind: (typeof worlds)[number]) {
  if (kind === "local") {
    const system = yield* ActorSystem.make({ name: "both" })
    return { server: system, client: system }
  }
  const network = yield* InMemoryTransport.makeNetwork(kind === "JSON" ? {} : { codec: MsgPackCodec })
  const server = yield* ActorSystem.make({ name: "server", transport: yield* network.connect })
  const client = yield* ActorSystem.make({ name: "client", transport: yield* network.connect })
  return { server, client }
})

/** After whatever was ready to run has run. */
export const settled: Effect.Effect<void> = Effect.promise(
  () => new Promise<void>((resolve) => void setImmediate(resolve)),
)

/** Runs without a log: for tests in which failing is what is expected. */
export const silently = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  withLogs(() => effect)

/** Runs with a logger that keeps what was logged, as text. */
export const withLogs = <A, E, R>(use: (logs: ReadonlyArray<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const logs: Array<string> = []
    const logger = Logger.make(({ cause, message }) => void logs.push(`${String(message)} ${String(cause)}`))
    return use(logs).pipe(Effect.provide(Logger.layer([logger])))
  })
