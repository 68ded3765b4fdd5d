import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { describe, expect, expectTypeOf, it } from "vitest"
import type { ActorRef } from "../src/ActorRef.ts"
import type { ActorSystem, AddressInUse } from "../src/ActorSystem.ts"
import type { AskError } from "../src/AskError.ts"
import * as Protocol from "../src/Protocol.ts"
import * as Schemas from "../src/Schemas.ts"
import type { TransportError } from "../src/Transport.ts"
import { Greeter, greeter, GREETER, type Rejected } from "./support/greeter.ts"

type Greeter = typeof Greeter
interface Database {
  readonly database: true
}

describe("a protocol's types", () => {
  it("tell what is told and what is asked", () => {
    expectTypeOf<Protocol.TellName<Greeter>>().toEqualTypeOf<"note">()
    expectTypeOf<Protocol.AskName<Greeter>>().toEqualTypeOf<"greet" | "count" | "when">()
    expectTypeOf<Protocol.Payload<Greeter, "greet">>().toEqualTypeOf<{ readonly name: string }>()
    expectTypeOf<Protocol.Success<Greeter, "when">>().toEqualTypeOf<Date>()
    expectTypeOf<Protocol.Failure<Greeter, "greet">>().toEqualTypeOf<Rejected>()
    expectTypeOf<Protocol.Failure<Greeter, "count">>().toBeNever()
  })

  it("stand for nothing where a schema is left out", () => {
    const P = Protocol.make("p", { ping: Protocol.ask(), poke: Protocol.tell() })
    expectTypeOf<Protocol.Payload<typeof P, "ping">>().toBeVoid()
    expectTypeOf<Protocol.Success<typeof P, "ping">>().toBeVoid()
    expectTypeOf<Protocol.Failure<typeof P, "ping">>().toBeNever()
    expectTypeOf<Protocol.Payload<typeof P, "poke">>().toBeVoid()
  })

  it("reach the ask: its answer and all its failures", () => {
    const greet = (ref: ActorRef<Greeter>) => ref.ask("greet", { name: "" })
    expectTypeOf<ReturnType<typeof greet>>().toEqualTypeOf<Effect.Effect<string, Rejected | AskError>>()
    const count = (ref: ActorRef<Greeter>) => ref.ask("count", 1)
    expectTypeOf<ReturnType<typeof count>>().toEqualTypeOf<Effect.Effect<number, AskError>>()
  })

  it("reach the server: what its handlers need, it needs", () => {
    const plain = (system: ActorSystem) => system.serve(Greeter, GREETER, greeter())
    expectTypeOf<ReturnType<typeof plain>>().toEqualTypeOf<
      Effect.Effect<ActorRef<Greeter>, AddressInUse | TransportError, Scope.Scope>
    >()
    const needing = (system: ActorSystem, greet: Effect.Effect<string, Rejected, Database>) =>
      system.serve(Greeter, GREETER, {
        greet: () => greet,
        count: (n) => n,
        when: async (date) => date,
        note: () => undefined,
      })
    expectTypeOf<ReturnType<typeof needing>>().toEqualTypeOf<
      Effect.Effect<ActorRef<Greeter>, AddressInUse | TransportError, Scope.Scope | Database>
    >()
  })
})

describe("a protocol", () => {
  it.each(["", "hub:send", "actor:error", "x".repeat(257)])("has no message named %j", (name) => {
    expect(() => Protocol.make("p", { [name]: Protocol.tell() })).toThrow(TypeError)
  })

  it("fault 32: has no message that every object inherits", () => {
    for (const name of ["toString", "constructor", "__proto__", "hasOwnProperty"]) {
      expect(Protocol.find(Greeter, name)).toBeUndefined()
    }
  })

  it("encodes to what JSON carries, and decodes it again", () => {
    const schema = Schema.Struct({
      at: Schema.Date,
      bytes: Schema.Uint8Array,
      map: Schema.ReadonlyMap(Schema.String, Schema.BigInt),
      maybe: Schema.optional(Schema.String),
    })
    fc.assert(
      fc.property(
        fc.record({
          at: fc.date({ noInvalidDate: true }),
          bytes: fc.uint8Array(),
          map: fc.array(fc.tuple(fc.string(), fc.bigInt())).map((entries) => new Map(entries)),
          maybe: fc.option(fc.string(), { nil: undefined }),
        }),
        (value) => {
          const encoded = Result.getOrThrow(Schemas.encode(schema, value))
          const traveled: unknown = JSON.parse(JSON.stringify(encoded))
          expect(Result.getOrThrow(Schemas.decode(schema, traveled))).toEqual(value)
        },
      ),
    )
  })

  it("carries nothing as null", () => {
    expect(Result.getOrThrow(Schemas.encode(Schema.Void, undefined))).toBeNull()
    expect(Result.getOrThrow(Schemas.decode(Schema.Void, null))).toBeUndefined()
  })

  it("says what is wrong with a value, in a few words", () => {
    const judged = Schemas.decode(Schema.Struct({ name: Schema.String }), { name: 5 })
    expect(Result.isFailure(judged) && judged.failure.message).toMatch(/string[^]*name/)
    const long = Schemas.decode(Schema.Literals(["a", "b"]), "x".repeat(10_000))
    expect(Result.isFailure(long) && long.failure.message.length).toBeLessThanOrEqual(300)
  })

  it("refuses a value whose schema throws, instead of throwing", () => {
    const Throwing = Schema.String.check(
      Schema.makeFilter((): boolean => {
        throw new Error("secret")
      }),
    )
    for (const judged of [Schemas.decode(Throwing, "x"), Schemas.encode(Throwing, "x")]) {
      expect(Result.isFailure(judged) && judged.failure.message).not.toContain("secret")
    }
  })
})
