/** Values that leave a process through a schema that takes anything, or that is of another library. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { StandardSchemaV1 } from "effect/StandardSchema"
import * as Stream from "effect/Stream"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Address } from "../src/Address.ts"
import * as ActorStream from "../src/ActorStream.ts"
import * as Behavior from "../src/Behavior.ts"
import { MsgPackCodec } from "../src/codec/MsgPackCodec.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import * as Persistence from "../src/Persistence.ts"
import * as PersistentBehavior from "../src/PersistentBehavior.ts"
import * as Protocol from "../src/Protocol.ts"
import { settled, silently } from "./support/greeter.ts"

const ADDRESS: Address = "@(node/anything)"

/** What the types say of a value says nothing of what is in it. */
type Value = { readonly [key: string]: unknown }

const any = Schema.Any as Schema.Codec<Value>
const anything: StandardSchemaV1<Value> = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: value as Value }) },
}

const protocolOf = (schema: typeof any | typeof anything) =>
  Protocol.make("anything", {
    say: Protocol.tell({ payload: schema }),
    echo: Protocol.ask({ payload: schema, success: schema }),
    make: Protocol.ask({ payload: Schema.String, success: schema, error: schema }),
    list: Protocol.stream({ payload: Schema.String, success: schema }),
  })

/** Values that the other process must never see as something else. */
const WRONG: ReadonlyArray<readonly [name: string, value: unknown]> = [
  ["is a Float64Array", new Float64Array(2_000)],
  ["is a Map", new Map([["a", 1]])],
  ["is a bigint", 1n],
]

/** The failure of what must have ended by now. */
const failureOf = Effect.fnUntraced(function* <E>(ending: Effect.Effect<unknown, E>) {
  const fiber = yield* Effect.forkChild(Effect.flip(ending), { startImmediately: true })
  yield* settled
  if (fiber.pollUnsafe() === undefined) throw new Error("it has not ended")
  return yield* Fiber.join(fiber)
})

describe.each([
  ["Schema.Any", any],
  ["a Standard Schema", anything],
] as const)("fault 47: what %s lets out", (_, schema) => {
  const Anything = protocolOf(schema)
  const make = Effect.fnUntraced(function* () {
    const network = yield* InMemoryTransport.makeNetwork({ codec: MsgPackCodec })
    const server = yield* ActorSystem.make({ transport: yield* network.connect })
    const client = yield* ActorSystem.make({ transport: yield* network.connect })
    const heard: Array<unknown> = []
    const wrong = new Map(WRONG)
    yield* server.spawn(
      Behavior.make(Anything, {
        say: (said) => void heard.push(said),
        echo: (said) => said,
        make: (what) =>
          what.startsWith("fail ")
            ? Effect.fail({ inner: wrong.get(what.slice(5)) })
            : Effect.succeed({ inner: wrong.get(what) }),
        list: (what) => Stream.make({ n: 1 }, { n: wrong.get(what) }, { n: 3 }),
      }),
      { address: ADDRESS, register: true },
    )
    return { client, heard, ref: client.ref(Anything, ADDRESS) }
  })

  it.effect("is what a payload may hold, as it is", () =>
    Effect.gen(function* () {
      const { heard, ref } = yield* make()
      const value = { at: new Date(0), bytes: Uint8Array.of(1), constructor: 1, toJSON: 2, none: undefined }
      ref.tell("say", value)
      const { none: _, ...carried } = value
      expect(yield* ref.ask("echo", value)).toEqual(carried)
      expect(heard).toEqual([carried])
    }),
  )

  it.effect.each(WRONG)("and else rejected with its path, where it is sent: %s", ([says, value]) =>
    Effect.gen(function* () {
      const { client, heard, ref } = yield* make()
      expect(yield* failureOf(ref.ask("echo", { list: [value] }))).toMatchObject({
        code: "invalid_payload",
        message: expect.stringContaining(`payload.list[0] ${says}`),
      })
      ref.tell("say", { list: [value] })
      yield* settled
      expect(heard).toEqual([])
      expect(client.deadLetters.counts).toEqual({ invalid_payload: 1 })
      expect(yield* failureOf(ref.ask("echo", {}, { metadata: { x: value } }))).toMatchObject({
        code: "invalid_message",
        message: expect.stringContaining(`metadata.x ${says}`),
      })
    }),
  )

  it.effect.each(WRONG)("and else rejected where it answers, and the asker hears so: %s", ([says]) =>
    silently(
      Effect.gen(function* () {
        const { ref } = yield* make()
        for (const what of [says, `fail ${says}`]) {
          expect(yield* failureOf(ref.ask("make", what))).toMatchObject({ code: "actor_failed" })
        }
        const got: Array<unknown> = []
        const stream = ActorStream.ask(ref, "list", says).pipe(
          Stream.runForEach((n) => Effect.sync(() => void got.push(n))),
        )
        expect(yield* failureOf(stream)).toMatchObject({ code: "actor_failed" })
        expect(got).toEqual([{ n: 1 }])
        expect(yield* ref.ask("echo", { a: 1 })).toEqual({ a: 1 })
      }),
    ),
  )

  it.effect("as a state is stored as it is, or the step that made it fails", () =>
    silently(
      Effect.gen(function* () {
        const store = yield* Persistence.makeInMemory
        const Keeper = Protocol.make("keeper", {
          keep: Protocol.ask({ payload: any, success: Schema.String }),
        })
        const keeper = PersistentBehavior.make(Keeper, {
          state: schema,
          initial: (): Value => ({}),
          handlers: {
            keep: (_state, next, context) => {
              context.reply("kept")
              return next
            },
          },
        })
        const system = yield* ActorSystem.make()
        const actor = yield* system
          .spawn(keeper, { address: ADDRESS })
          .pipe(Effect.provideService(Persistence.Persistence, store))
        const state = { at: new Date(0), bytes: Uint8Array.of(1), toJSON: 1 }
        expect(yield* actor.ask("keep", state)).toBe("kept")
        expect(yield* store.load(ADDRESS)).toEqual({ version: 1, state })
        for (const [, value] of WRONG) {
          yield* Effect.flip(actor.ask("keep", { value }))
          expect(yield* store.load(ADDRESS)).toEqual({ version: 1, state })
        }
      }),
    ),
  )
})

describe("a store in memory", () => {
  it.effect("rejects a state that no row can hold, by its path", () =>
    Effect.gen(function* () {
      const store = yield* Persistence.makeInMemory
      expect(yield* Effect.flip(store.save(ADDRESS, { a: new Set() }, 0))).toMatchObject({
        _tag: "PersistenceError",
        message: expect.stringContaining("state.a is a Set"),
      })
      expect(yield* store.load(ADDRESS)).toBeNull()
    }),
  )
})
