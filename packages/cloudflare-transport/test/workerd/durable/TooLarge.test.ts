/** What is larger than a row of the database, or in another form than JSON, in a durable actor. */
import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import type { Envelope } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import { batch, envelope, users } from "./actors.ts"
import { answered, ask, newUser, tell } from "./talk.ts"
import { countRows } from "../stored.ts"
import { eventually } from "../../support/eventually.ts"

/** What a frame may hold, six times as large in JSON: more than a row. */
const LEGAL = 1_000_000
/** More than a row in any form. */
const HUGE = 3_000_000
const NOBODY = "@(shelf/nobody)"
const control = (size: number): string => "\u0001".repeat(size)

let names = 0
const newShelf = () => {
  const name = `large-${++names}`
  return {
    name,
    address: `@(shelf/${name})` as const,
    get stub() {
      return env.SHELF.getByName(name)
    },
  }
}
type Shelf = ReturnType<typeof newShelf>

const notStored = (message: string) =>
  answered({ code: "not_stored", message: expect.stringContaining(message), retryable: false }, "actor:error")

const expectNotes = (shelf: Shelf, notes: ReadonlyArray<string>) =>
  eventually(async () => expect(await ask(shelf, "notes")).toMatchObject(answered(notes)))

/** How many rows there are of what is to be done yet. */
const open = (shelf: Shelf) =>
  runInDurableObject(shelf.stub, (_, { storage }) =>
    ["inbox", "outbox", "ask", "owed", "timer"].reduce(
      (sum, table) => sum + countRows(storage, `actor_${table}`),
      0,
    ),
  )

/** The memory is lost, and the alarm comes. */
const crash = async (shelf: Shelf) => {
  await abortAllDurableObjects()
  await runDurableObjectAlarm(shelf.stub)
}

describe("what a frame may hold, though JSON makes more than a row of it,", () => {
  it("is taken, and outlives the memory", async () => {
    const shelf = newShelf()
    expect(await tell(shelf, "slowly", control(LEGAL))).toEqual([{ status: "taken" }])
    await crash(shelf)
    await expectNotes(shelf, [`${LEGAL}`])
  })

  it("is sent, and kept", async () => {
    const [shelf, other] = [newShelf(), newShelf()]
    await tell(shelf, "send", { to: other.address, size: LEGAL })
    await expectNotes(other, [control(LEGAL)])
  })

  it("is an answer, the same when it is asked again after a crash", async () => {
    const shelf = newShelf()
    const asked = () => ask(shelf, "give", { size: LEGAL, changes: true }, { id: "g" })
    expect(await asked()).toEqual(answered(control(LEGAL)))
    await crash(shelf)
    expect(await asked()).toEqual(answered(control(LEGAL)))
    await expectNotes(shelf, ["gave"])
  })

  it("is what a timer says, and the answer to an ask of one's own", async () => {
    const [shelf, other] = [newShelf(), newShelf()]
    await tell(shelf, "wind", LEGAL)
    await ask(shelf, "fetch", { from: other.address, size: LEGAL, about: 0 })
    await expectNotes(shelf, ["wound", `${LEGAL}`])
  })
})

it("bytes and dates are the same after a crash", async () => {
  const shelf = newShelf()
  await tell(shelf, "slowly", { bytes: new Uint8Array([1, 2]), date: new Date(0) })
  await crash(shelf)
  await expectNotes(shelf, ["[object Uint8Array],[object Date]"])
})

describe("a message that is larger than a row", () => {
  it("is its sender's until it is done, and takes none with it that came in the same call", async () => {
    const shelf = newShelf()
    const small = envelope(shelf.address, "slowly", "small", { seq: 1 })
    const large = envelope(shelf.address, "slowly", control(HUGE), { seq: 2 })
    const delivered = (...sent: ReadonlyArray<Envelope.Envelope>) =>
      shelf.stub.deliver(batch(...sent)).catch(String)
    const taken = [{ status: "taken" }]
    expect(await delivered(small, large)).toContain("too big")
    expect(await delivered(small)).toEqual(taken)
    await crash(shelf)
    await eventually(async () => expect(await delivered(large)).toEqual(taken))
    await expectNotes(shelf, ["5", `${HUGE}`])
  })

  it("is taken where it is a volatile ask, which memory may lose", async () => {
    const shelf = newShelf()
    const { came, from } = newUser()
    expect(await ask(shelf, "measureSlowly", control(HUGE), { from })).toEqual({ status: "taken" })
    await eventually(() => expect(came).toMatchObject([{ envelope: { payload: HUGE } }]))
  })
})

describe("a step that makes more than a row takes", () => {
  const tooMuch = "more than a row of its database takes"

  it.each([
    ["grow", HUGE],
    ["wind", HUGE],
    ["send", { to: NOBODY, size: HUGE }],
  ])("fails for good, and holds up nobody: %s", async (type, payload) => {
    const shelf = newShelf()
    const failing = envelope(shelf.address, type, payload, { seq: 1 })
    const next = envelope(shelf.address, "note", "next", { seq: 2 })
    expect(await shelf.stub.deliver(batch(failing, next))).toEqual([{ status: "taken" }, { status: "taken" }])
    await expectNotes(shelf, ["next"])
    expect(await open(shelf)).toBe(0)
  })

  it("is told to who asked, with what is wrong and what to do, and nothing of it is kept", async () => {
    const shelf = newShelf()
    await tell(shelf, "note", "before")
    const tooLarge = `the state of ${shelf.address} is larger than a row of its database, 2 MB`
    expect(await ask(shelf, "growAndSay", HUGE)).toMatchObject(notStored(tooLarge))
    for (const seq of [undefined, 1]) {
      const asked = { size: HUGE, changes: true }
      expect(await ask(shelf, "give", asked, { ...(seq && { seq }) })).toMatchObject(notStored(tooMuch))
    }
    const fetch = { from: NOBODY, size: 1, about: HUGE }
    expect(await ask(shelf, "fetch", fetch)).toMatchObject(notStored(tooMuch))
    const relay = { by: NOBODY, size: 1, grows: HUGE }
    expect(await ask(shelf, "relay", relay)).toMatchObject(notStored(tooLarge))
    await expectNotes(shelf, ["before"])
    expect(await open(shelf)).toBe(0)
  })

  it("at a timer's message is not tried again", async () => {
    const shelf = newShelf()
    await tell(shelf, "growLater", HUGE)
    await runInDurableObject(
      shelf.stub,
      (_, { storage }) => void storage.sql.exec("UPDATE actor_timer SET at = 0"),
    )
    await crash(shelf)
    await eventually(async () => expect(await open(shelf)).toBe(0))
    await tell(shelf, "note", "next")
    await expectNotes(shelf, ["next"])
  })
})

describe("an answer that is larger than a row", () => {
  it("is given with the call where nothing changed", async () => {
    expect(await ask(newShelf(), "give", { size: HUGE, changes: false })).toEqual(answered(control(HUGE)))
  })

  it("is a failure to who asked where it comes later", async () => {
    const shelf = newShelf()
    const { came, from } = newUser()
    // The second time, what was not given is not given either.
    for (const times of [1, 2]) {
      expect(await ask(shelf, "giveSlowly", HUGE, { id: "g", from })).toEqual({ status: "taken" })
      await eventually(() => expect(came).toHaveLength(times))
    }
    const failure = { envelope: { type: "actor:error", payload: { code: "not_stored" } } }
    expect(came).toMatchObject([failure, failure])
    expect(await open(shelf)).toBe(0)
  })

  /** Answers with so many characters, and with the call. */
  const newSource = () => {
    const { from: address } = newUser()
    users.set(address, {
      ...users.get(address)!,
      deliver: ({ deliveries }) =>
        Promise.resolve(
          deliveries.map(({ envelope: { payload } }) => ({
            status: "answered",
            answer: { type: "actor:reply", payload: control((payload as { size: number }).size) },
          })),
        ),
    })
    return address
  }

  it("is a refusal to the actor that asked, and what comes behind it is no other", async () => {
    const shelf = newShelf()
    const from = newSource()
    for (const size of [HUGE, 1]) await ask(shelf, "fetch", { from, size, about: 0 })
    await expectNotes(shelf, [expect.stringContaining(`"code":"message_too_large"`), "1"])
    expect(await open(shelf)).toBe(0)
  })

  it("is a failure to whose ask was handed on", async () => {
    const shelf = newShelf()
    const { came, from } = newUser()
    await ask(shelf, "relay", { by: newSource(), size: HUGE, grows: 0 }, { id: "r", from })
    await eventually(() => expect(came).toHaveLength(2))
    expect(came[1]!.envelope).toMatchObject({
      type: "hub:error",
      correlationId: "r",
      payload: { code: "message_too_large" },
    })
    expect(await open(shelf)).toBe(0)
  })
})
