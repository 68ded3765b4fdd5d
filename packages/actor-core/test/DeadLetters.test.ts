import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { DeadLetterOffice } from "../src/DeadLetters.ts"
import * as DeadLetterStream from "../src/DeadLetterStream.ts"
import { NO_METADATA, type Envelope } from "../src/Envelope.ts"

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
