import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import { DeadLetterOffice } from "../src/DeadLetters.ts"
import * as DeadLetterStream from "../src/DeadLetterStream.ts"
import { NO_METADATA, type Envelope } from "../src/Envelope.ts"
import * as Protocol from "../src/Protocol.ts"

const envelope = (id: string): Envelope => ({
  id,
  from: "@(a/b)",
  to: "@(c/d)",
  type: "t",
  payload: null,
  pattern: "tell",
  correlationId: null,
  timestamp: 0,
  metadata: NO_METADATA,
  ttl: null,
  signature: null,
})

const fill = (office: DeadLetterOffice, from: number, to: number): void => {
  for (let i = from; i <= to; i++)
    office.add(i % 2 === 0 ? "expired" : "unknown_actor", envelope(String(i)), i)
}
const ids = (office: DeadLetterOffice) => office.recent().map((letter) => letter.envelope.id)

describe("dead letters", () => {
  it("keep the last ones, oldest first, and count all", () => {
    const office = new DeadLetterOffice(3)
    fill(office, 1, 2)
    expect(ids(office)).toEqual(["1", "2"])
    fill(office, 3, 3)
    expect(ids(office)).toEqual(["1", "2", "3"])
    fill(office, 4, 8)
    expect(ids(office)).toEqual(["6", "7", "8"])
    expect(office.total).toBe(8)
    expect(office.counts).toEqual({ unknown_actor: 4, expired: 4 })
  })

  it("are kept 1,000 unless told otherwise, or none", () => {
    const office = new DeadLetterOffice()
    fill(office, 1, 1_500)
    expect(ids(office).length).toBe(1_000)
    expect(ids(office)[0]).toBe("501")
    const none = new DeadLetterOffice(0)
    fill(none, 1, 5)
    expect(ids(none)).toEqual([])
    expect(none.total).toBe(5)
  })

  it("fault 70: are kept up to 16 MiB, however few those are, whatever they hold", () => {
    const office = new DeadLetterOffice()
    const add = (id: string, payload: unknown) =>
      office.add("unknown_message", { ...envelope(id), payload }, 0)
    for (let n = 0; n < 40; n++) add(String(n), "x".repeat(1_048_576))
    expect(ids(office)).toEqual(Array.from({ length: 15 }, (_, n) => String(n + 25)))
    add("huge", new Uint8Array(64 * 1_048_576))
    expect(ids(office)).toEqual(["huge"])
    const cyclic: { [key: string]: unknown } = {}
    cyclic.self = cyclic
    add("cyclic", cyclic)
    add("throws", {
      get at() {
        throw new Error("no")
      },
    })
    fill(office, 1, 2_000)
    expect(ids(office)).toHaveLength(1_000)
    expect(office.total).toBe(2_043)
  })

  it("reach subscribers until they leave, and no subscriber's failure stops the others", () => {
    const office = new DeadLetterOffice()
    const seen: Array<string> = []
    office.subscribe(() => {
      throw new Error("no")
    })
    const leave = office.subscribe((letter) => void seen.push(letter.envelope.id))
    fill(office, 1, 2)
    leave()
    leave()
    fill(office, 3, 3)
    expect(seen).toEqual(["1", "2"])
  })

  it.effect("are a stream that ends with the system, without an item too many (fault 46)", () =>
    Effect.gen(function* () {
      const office = new DeadLetterOffice()
      const reading = yield* Effect.forkChild(Stream.runCollect(DeadLetterStream.stream(office)), {
        startImmediately: true,
      })
      fill(office, 1, 3)
      office.close()
      fill(office, 4, 4)
      const read = yield* Fiber.join(reading)
      expect([...read].map((letter) => letter.envelope.id)).toEqual(["1", "2", "3"])
      expect([...(yield* Stream.runCollect(DeadLetterStream.stream(office)))]).toEqual([])
    }),
  )
})

describe("what is sent through a cast", () => {
  const Counter = Protocol.make("counter", {
    add: Protocol.tell({ payload: Schema.Number }),
    total: Protocol.ask({ success: Schema.Number }),
  })

  it.effect.each(["nope", "constructor", "__proto__", "toString"])(
    'a tell "%s" is a dead letter, unknown_message, and the actor goes on as it was',
    (name) =>
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        let starts = 0
        const begin = () => {
          starts++
          return 0
        }
        const behavior = Behavior.state(Counter, begin, {
          add: (total, n) => total + n,
          total: (total, _, context) => {
            context.reply(total)
            return total
          },
        })
        const ref = yield* system.spawn(behavior)
        ref.tell("add", 1)
        ref.tell(name as never, 1 as never)
        ref.tell("add", 1)
        expect(yield* ref.ask("total", undefined)).toBe(2)
        expect(system.deadLetters.counts).toEqual({ unknown_message: 1 })
        const refused = yield* Effect.flip(ref.ask(name as never, undefined as never))
        expect(refused).toMatchObject({ code: "unknown_message" })
        expect(starts).toBe(1)
      }),
  )
})
