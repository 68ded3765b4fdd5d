import {
  abortAllDurableObjects,
  evictAllDurableObjects,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import type { Outcome } from "../../../src/delivery/ActorRpc.ts"
import { batch, envelope, network } from "./actors.ts"
import { answered, ask, newUser, tell } from "./talk.ts"
import { countRows, stored } from "../stored.ts"
import { eventually } from "../../support/eventually.ts"

let names = 0

/** An object of its own for each test, and its address. */
const newAccount = () => {
  const name = `test-${++names}`
  return { name, address: `@(account/${name})` as const, stub: env.ACCOUNT.getByName(name) }
}
const newBuyer = () => {
  const account = newAccount()
  const { name } = account
  return { name, address: `@(buyer/${name})` as const, stub: env.BUYER.getByName(name), account }
}
const newClock = () => {
  const name = `test-${++names}`
  return { name, address: `@(clock/${name})` as const, stub: env.CLOCK.getByName(name) }
}

/** What failed is to be tried again now. */
const overdue = (stub: DurableObjectStub) =>
  runInDurableObject(stub, async (_, { storage }) => {
    stored(storage).run("UPDATE actor_outbox SET due_at = 0")
    await storage.setAlarm(Date.now() + 60_000)
  })

describe("a durable actor", () => {
  it("handles tells and asks in order, and answers with the call", async () => {
    const account = newAccount()
    const of = (type: string, payload: unknown, pattern: "tell" | "ask") =>
      envelope(account.address, type, payload, { pattern })
    const outcomes = await account.stub.deliver(
      batch(
        of("deposit", 10, "tell"),
        of("withdraw", 4, "ask"),
        of("deposit", 1, "tell"),
        of("balance", null, "ask"),
        of("withdraw", 100, "ask"),
      ),
    )
    expect(outcomes).toMatchObject([
      { status: "taken" },
      answered(6),
      { status: "taken" },
      answered(7),
      answered({ code: "Overdrawn", data: { _tag: "Overdrawn", balance: 7 } }, "actor:error"),
    ])
  })

  it("has its state after an eviction, and after a crash", async () => {
    const account = newAccount()
    await tell(account, "deposit", 10)
    await evictDurableObject(account.stub)
    expect(await ask(account, "withdraw", 1)).toMatchObject(answered(9))
    await abortAllDurableObjects()
    expect(await ask({ ...account, stub: env.ACCOUNT.getByName(account.name) }, "balance")).toMatchObject(
      answered(9),
    )
  })

  it("fault 32: nothing but its protocol can be reached", async () => {
    const clock = newClock()
    for (const type of ["tick", "constructor", "__proto__", "deliver", "hub:connect", "actor:error"]) {
      const outcome = await ask(clock, type, "forged")
      expect(outcome, type).toSatisfy(
        (it: Outcome) =>
          (it.status === "refused" && it.code === "unknown_actor") ||
          (it.status === "answered" && (it.answer.payload as { code: string }).code === "unknown_message"),
      )
      await tell(clock, type, "forged")
    }
    // Nobody else is the actor itself.
    expect(await tell(clock, "tick", "forged", { from: clock.address })).toMatchObject([
      { status: "refused" },
    ])
    expect(await ask({ ...clock, address: "@(account/other)" }, "log")).toMatchObject({
      code: "unknown_actor",
    })
    expect(await ask(clock, "start", { key: 1 })).toMatchObject(
      answered({ code: "unknown_message" }, "actor:error"),
    )
    expect(await ask(newAccount(), "withdraw", "much")).toMatchObject(
      answered({ code: "invalid_payload" }, "actor:error"),
    )
    expect(await ask(clock, "log")).toMatchObject(answered([]))
  })

  it("fault 42: a call that is delivered twice is carried out once, and answered the same", async () => {
    const account = newAccount()
    const id = "deposit-1"
    await tell(account, "deposit", 10, { id })
    const asked = { id: "withdraw-1" }
    const both = await Promise.all([ask(account, "withdraw", 4, asked), ask(account, "withdraw", 4, asked)])
    expect(both).toMatchObject([answered(6), answered(6)])
    await evictDurableObject(account.stub)
    await tell(account, "deposit", 10, { id })
    expect(await ask(account, "withdraw", 4, asked)).toMatchObject(answered(6))
    // What was refused stays refused, although there is enough by now.
    const refused = await ask(account, "withdraw", 50, { id: "withdraw-2" })
    await tell(account, "deposit", 100)
    expect(await ask(account, "withdraw", 50, { id: "withdraw-2" })).toEqual(refused)
    // Reliable, it is known for longer than memory lasts, though nothing changed.
    const reliable = { id: "withdraw-3", seq: 1 }
    const never = await ask(account, "withdraw", 5_000, reliable)
    await tell(account, "deposit", 10_000)
    await evictDurableObject(account.stub)
    expect(await ask(account, "withdraw", 5_000, reliable)).toEqual(never)
    await ask(account, "withdraw", 10_000)
    // The id is the sender's.
    expect(await ask(account, "withdraw", 4, { ...asked, from: "@(user/bob)" })).toMatchObject(answered(102))
  })

  it("writes nothing for a volatile ask that changes nothing", async () => {
    const account = newAccount()
    await tell(account, "deposit", 10)
    const rows = () =>
      runInDurableObject(account.stub, (_, { storage }) => countRows(storage, "actor_handled"))
    const before = await rows()
    await ask(account, "balance")
    await ask(account, "withdraw", 100)
    expect(await rows()).toEqual(before)
  })

  it("fault 42: an ask that is refused as it comes is answered once, with the call", async () => {
    const account = newAccount()
    const { came, from } = newUser()
    const refused = answered({ code: "invalid_payload" }, "actor:error")
    expect(await ask(account, "withdraw", "much", { from })).toMatchObject(refused)
    // Its table is made with the first row that there ever is.
    const made = await runInDurableObject(account.stub, (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'actor_outbox'").toArray(),
    )
    expect(made).toEqual([])
    expect(came).toEqual([])
  })

  it("leaves the tables of its object's own alone, whatever their names", async () => {
    const account = newAccount()
    const own = ["ask", "handled", "inbox", "line", "outbox", "snapshot", "timer"]
    const ownRows = () =>
      runInDurableObject(account.stub, (_, { storage: { sql } }) =>
        own.map((table) => sql.exec(`SELECT of_mine FROM ${table}`).one().of_mine),
      )
    await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
      for (const table of own) {
        sql.exec(`CREATE TABLE ${table} (of_mine TEXT)`)
        sql.exec(`INSERT INTO ${table} VALUES ('${table}')`)
      }
    })
    await evictDurableObject(account.stub)
    await tell(account, "deposit", 10, { seq: 1 })
    await evictDurableObject(account.stub)
    expect(await ask(account, "withdraw", 4)).toMatchObject(answered(6))
    expect(await ownRows()).toEqual(own)
  })

  it("goes on where its object takes back, or deletes, what it has stored", async () => {
    const account = newAccount()
    const within = (work: (storage: DurableObjectStorage, ask: () => unknown) => unknown) =>
      runInDurableObject(account.stub, (object, { storage }) =>
        work(storage, () => object.deliver(batch(envelope(account.address, "deposit", 10)))),
      )
    await within((storage, deposit) => {
      const undone = () =>
        storage.transactionSync(() => {
          void deposit()
          throw new Error("no more")
        })
      expect(undone).toThrow("no more")
    })
    await tell(account, "deposit", 1, { seq: 1 })
    await within((storage) => storage.deleteAll())
    expect(await tell(account, "deposit", 2, { seq: 2 })).toEqual([{ status: "taken" }])
  })

  it("of a step that fails keeps nothing, and carries out the same call when it comes again", async () => {
    const account = newAccount()
    await tell(account, "deposit", 1)
    const failed = answered({ code: "actor_failed" }, "actor:error")
    expect(await ask(account, "fail", null, { id: "f" })).toMatchObject(failed)
    expect(await ask(account, "fail", null, { id: "f" })).toMatchObject(failed)
    expect(await ask(account, "balance")).toMatchObject(answered(1))
  })

  it("that takes its time answers by a call of its own, over a crash in between", async () => {
    const account = newAccount()
    const { came, from } = newUser()
    expect(await ask(account, "slowly", 5, { id: "slow", from })).toEqual({ status: "taken" })
    await abortAllDurableObjects()
    const stub = env.ACCOUNT.getByName(account.name)
    await runDurableObjectAlarm(stub)
    await eventually(() => expect(came).toHaveLength(1))
    expect(came[0]!.envelope).toMatchObject({
      from: account.address,
      to: from,
      correlationId: "slow",
      type: "actor:reply",
      payload: 5,
    })
    expect(await ask({ ...account, stub }, "slowly", 5, { id: "slow", from })).toMatchObject(answered(5))
  })

  it("that forgets begins anew, and tells who watches it", async () => {
    const account = newAccount()
    const { came, from } = newUser()
    await tell(account, "deposit", 10)
    expect(await account.stub.watch(account.address, from)).toBe(true)
    expect(await account.stub.watch("@(account/none)", from)).toBe(false)
    await evictDurableObject(account.stub)
    await tell(account, "close", null)
    await eventually(() => expect(came).toHaveLength(1))
    expect(came[0]!.envelope).toMatchObject({
      from: "@(cloudflare/signal-hub)",
      to: from,
      type: "hub:terminated",
      payload: { actorAddress: account.address, reason: "unregistered" },
    })
    expect(await ask(account, "balance")).toMatchObject(answered(0))
  })

  it("is asked by who has no address, through its stub", async () => {
    const account = newAccount()
    const of = (type: string, payload: unknown) =>
      account.stub.request(envelope(account.address, type, payload), 1_000)
    await tell(account, "deposit", 10)
    const deposited = envelope(account.address, "withdraw", 3)
    expect(await account.stub.request(deposited, 1_000)).toMatchObject({
      correlationId: deposited.id,
      payload: 7,
    })
    expect(await of("nothing", null)).toMatchObject({
      type: "actor:error",
      payload: { code: "unknown_message" },
    })
    expect(await account.stub.request(envelope(account.address, "slowly", 1), 20)).toMatchObject({
      type: "hub:error",
      payload: { code: "timeout" },
    })
  })
})

describe("an ask that a durable actor forwards", () => {
  it("is answered by who it was forwarded to, and its home hears who has it", async () => {
    const [first, second] = [newAccount(), newAccount()]
    const { came, from } = newUser()
    expect(await ask(first, "relay", second.name, { id: "r", from })).toEqual({ status: "taken" })
    await eventually(() => expect(came).toHaveLength(2))
    expect(came.map(({ envelope }) => envelope)).toMatchObject([
      { from: "@(cloudflare/signal-hub)", type: "hub:forwarded", correlationId: "r" },
      { from: second.address, type: "actor:reply", correlationId: "r", payload: second.address },
    ])
  })
})

describe("a step that can't be stored", () => {
  it("is tried again: a reliable tell is not taken, and changes nothing", async () => {
    const account = newAccount()
    await tell(account, "deposit", 1)
    const exec = await runInDurableObject(account.stub, (_, { storage: { sql } }) => {
      const before = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        if (query.includes("snapshot")) throw new Error("the disk is full")
        return before(query, ...bindings)
      }
      return before
    })
    expect(await tell(account, "deposit", 1, { id: "again" })).toMatchObject([
      { status: "refused", code: "queue_full" },
    ])
    expect(await ask(account, "withdraw", 1, { id: "w" })).toMatchObject(
      answered({ code: "activation_failed", retryable: true }, "actor:error"),
    )
    await runInDurableObject(account.stub, (_, { storage: { sql } }) => void (sql.exec = exec))
    await tell(account, "deposit", 1, { id: "again" })
    expect(await ask(account, "balance")).toMatchObject(answered(2))
  })
})

describe("an ask of a durable actor to another", () => {
  it("is answered by a message; the asker of the asker hears it", async () => {
    const buyer = newBuyer()
    const { came, from } = newUser()
    await tell(buyer.account, "deposit", 10)
    expect(await ask(buyer, "buy", 7, { id: `buy-${buyer.name}`, from })).toEqual({ status: "taken" })
    await eventually(() => expect(came).toHaveLength(1))
    expect(came[0]!.envelope).toMatchObject({ correlationId: `buy-${buyer.name}`, payload: "left: 3" })
    expect(await ask(buyer, "bought")).toMatchObject(answered([7]))
    // Delivered again, it is not bought again.
    expect(await ask(buyer, "buy", 7, { id: `buy-${buyer.name}`, from })).toMatchObject(answered("left: 3"))
    expect(await ask(buyer.account, "balance")).toMatchObject(answered(3))
  })

  it("survives the eviction of both, between any two steps", async () => {
    const { came, from } = newUser()
    for (let pause = 0; pause < 6; pause++) {
      came.length = 0
      const buyer = newBuyer()
      await tell(buyer.account, "deposit", 10)
      await ask(buyer, "buy", 7, { from })
      for (let i = 0; i < pause; i++) await Promise.resolve()
      await evictAllDurableObjects()
      await runDurableObjectAlarm(env.BUYER.getByName(buyer.name))
      await eventually(() => expect(came).toHaveLength(1))
      expect(came[0]!.envelope.payload).toBe("left: 3")
      expect(await ask(buyer.account, "balance")).toMatchObject(answered(3))
    }
  })

  it("is waited for by who asked without an address", async () => {
    const buyer = newBuyer()
    await tell(buyer.account, "deposit", 10)
    const asked = envelope(buyer.address, "buy", 7)
    expect(await buyer.stub.request(asked, 5_000)).toMatchObject({
      from: buyer.address,
      correlationId: asked.id,
      payload: "left: 3",
    })
  })

  it("fault 5: survives a crash of both, between any two steps, and is carried out once", async () => {
    const { came, from } = newUser()
    for (let pause = 0; pause < 12; pause++) {
      came.length = 0
      const buyer = newBuyer()
      await tell(buyer.account, "deposit", 10)
      await ask(buyer, "buy", 7, { from })
      for (let i = 0; i < pause; i++) await Promise.resolve()
      await abortAllDurableObjects()
      const stub = env.BUYER.getByName(buyer.name)
      const account = { ...buyer.account, stub: env.ACCOUNT.getByName(buyer.name) }
      await eventually(async () => {
        await runDurableObjectAlarm(stub)
        expect(came.length).toBeGreaterThan(0)
      }, 10_000)
      expect(came[0]!.envelope.payload).toBe("left: 3")
      expect(await ask(account, "balance")).toMatchObject(answered(3))
      expect(await ask({ ...buyer, stub }, "bought")).toMatchObject(answered([7]))
    }
  })

  it.each(["losesRequest", "losesResult"] as const)(
    "fault 42: is carried out once, though any call between them %s",
    async (loses) => {
      for (let call = 0; call < 4; call++) {
        for (const crash of [false, true]) {
          const { came, from } = newUser()
          const buyer = newBuyer()
          await tell(buyer.account, "deposit", 10)
          Object.assign(network, { calls: 0, losesRequest: -1, losesResult: -1, [loses]: call })
          await ask(buyer, "buy", 7, { from })
          await tell(buyer, "pay", { amount: 1, times: 2, fails: false })
          if (crash) await abortAllDurableObjects()
          const account = { ...buyer.account, stub: env.ACCOUNT.getByName(buyer.name) }
          await eventually(async () => {
            for (const stub of [env.BUYER.getByName(buyer.name), account.stub]) {
              await overdue(stub)
              await runDurableObjectAlarm(stub)
            }
            expect(await ask(account, "balance")).toMatchObject(answered(5))
            expect(came.length).toBeGreaterThan(0)
          }, 10_000)
          expect(came.map(({ envelope }) => envelope.payload)).toContain("left: 3")
          expect(await ask({ ...buyer, stub: env.BUYER.getByName(buyer.name) }, "bought")).toMatchObject(
            answered([7]),
          )
        }
      }
      Object.assign(network, { losesRequest: -1, losesResult: -1 })
    },
    60_000,
  )

  it("ends, typed, when nobody answers in time", async () => {
    const buyer = newBuyer()
    const { came, from } = newUser()
    await ask(buyer, "bought")
    await runInDurableObject(buyer.stub, (_, state) => {
      // An ask that was sent, and of which nothing was heard.
      const tables = stored(state.storage)
      tables.run(
        "INSERT INTO actor_ask (id, target, next, about, deadline) VALUES ('lost', '@(account/x)', 'paid', ?, 0)",
        JSON.stringify({ price: 1, reply: "token" }),
      )
      tables.run(
        "INSERT INTO actor_owed (token, asker, id, home, deadline) VALUES ('token', ?1, 'asked', ?1, ?2)",
        from,
        Date.now() + 60_000,
      )
      return state.storage.setAlarm(Date.now() + 60_000)
    })
    await evictDurableObject(buyer.stub)
    await runDurableObjectAlarm(buyer.stub)
    await eventually(() => expect(came).toHaveLength(1))
    expect(came[0]!.envelope).toMatchObject({ correlationId: "asked", payload: "refused: timeout" })
  })

  it("that its handler waits for is answered within the handler", async () => {
    const buyer = newBuyer()
    await tell(buyer.account, "deposit", 10)
    expect(await ask(buyer, "direct")).toMatchObject(answered(10))
  })
})

describe("what a durable actor tells", () => {
  it("arrives once and in order, though both crash", async () => {
    const buyer = newBuyer()
    await tell(buyer, "pay", { amount: 1, times: 20, fails: false })
    await abortAllDurableObjects()
    const account = { ...buyer.account, stub: env.ACCOUNT.getByName(buyer.name) }
    await eventually(async () => {
      await runDurableObjectAlarm(env.BUYER.getByName(buyer.name))
      expect(await ask(account, "balance")).toMatchObject(answered(20))
    }, 10_000)
    await runInDurableObject(env.BUYER.getByName(buyer.name), (_, { storage }) => {
      expect(countRows(storage, "actor_outbox")).toBe(0)
    })
    expect(await ask(account, "balance")).toMatchObject(answered(20))
  })

  it("does not leave where the step fails", async () => {
    const buyer = newBuyer()
    await tell(buyer, "pay", { amount: 1, times: 3, fails: true })
    expect(await ask(buyer, "bought")).toMatchObject(answered([]))
    await runInDurableObject(buyer.stub, (_, { storage }) => {
      expect(countRows(storage, "actor_outbox")).toBe(0)
    })
    expect(await ask(buyer.account, "balance")).toMatchObject(answered(0))
  })
})

describe("timers of a durable actor", () => {
  /** What the clock has noted, whatever happened to it meanwhile. */
  const log = async (clock: ReturnType<typeof newClock>) => {
    const outcome = await ask({ ...clock, stub: env.CLOCK.getByName(clock.name) }, "log")
    return outcome.status === "answered" ? outcome.answer.payload : outcome
  }

  /** Every deadline is past, and the alarm comes. */
  const later = async (clock: ReturnType<typeof newClock>, millis: number) => {
    const stub = env.CLOCK.getByName(clock.name)
    await runInDurableObject(stub, (_, { storage }) => {
      const tables = stored(storage)
      tables.run("UPDATE actor_timer SET at = at - ?", millis)
      tables.run("UPDATE actor_receive_timeout SET at = at - ?", millis)
    })
    await evictDurableObject(stub)
    await runDurableObjectAlarm(stub)
  }

  it("fault 5: outlive eviction and crash, and fire once, though the alarm comes twice", async () => {
    const clock = newClock()
    await tell(clock, "start", { key: "once", delay: 60_000, every: false })
    await evictDurableObject(clock.stub)
    expect(await log(clock)).toEqual([])
    await abortAllDurableObjects()
    await later(clock, 60_000)
    await runInDurableObject(env.CLOCK.getByName(clock.name), async (instance) => {
      await instance.alarm()
      await instance.alarm()
    })
    expect(await log(clock)).toEqual(["once"])
  })

  it("do nothing when the alarm comes early", async () => {
    const clock = newClock()
    await tell(clock, "start", { key: "once", delay: 60_000, every: false })
    expect(await runDurableObjectAlarm(clock.stub)).toBe(true)
    expect(await log(clock)).toEqual([])
    await later(clock, 60_000)
    expect(await log(clock)).toEqual(["once"])
    // And none is armed where nothing is left to wait for.
    await runDurableObjectAlarm(clock.stub)
    await runInDurableObject(clock.stub, async (_, { storage }) =>
      expect(await storage.getAlarm()).toBeNull(),
    )
  })

  it("at a rate leave out what is past, and go on", async () => {
    const clock = newClock()
    await tell(clock, "start", { key: "every", delay: 60_000, every: true })
    await later(clock, 10 * 60_000)
    expect(await log(clock)).toEqual(["every"])
    await runInDurableObject(clock.stub, (_, { storage }) => {
      const { at } = storage.sql.exec<{ at: number }>("SELECT at FROM actor_timer").one()
      expect(at).toBeGreaterThan(Date.now())
    })
    await later(clock, 60_000)
    expect(await log(clock)).toEqual(["every", "every"])
  })

  it("that are cancelled or set again fire no more for the old time", async () => {
    const clock = newClock()
    await tell(clock, "start", { key: "a", delay: 60_000, every: false })
    await tell(clock, "start", { key: "b", delay: 60_000, every: false })
    await tell(clock, "start", { key: "b", delay: 600_000, every: false })
    await evictDurableObject(clock.stub)
    await tell(clock, "cancel", "a")
    await tell(clock, "cancel", "never set")
    await later(clock, 60_000)
    expect(await log(clock)).toEqual(["a true", "never set false"])
    await later(clock, 600_000)
    expect(await log(clock)).toEqual(["a true", "never set false", "b"])
  })

  it("that are cancelled while their message waits are not heard of", async () => {
    const clock = newClock()
    await tell(clock, "start", { key: "b", delay: 60_000, every: false })
    await runInDurableObject(clock.stub, (_, { storage }) => {
      storage.sql.exec("UPDATE actor_timer SET at = 0")
    })
    await evictDurableObject(clock.stub)
    await runInDurableObject(clock.stub, async (instance) => {
      const cancelled = instance.deliver(batch(envelope(clock.address, "cancel", "b", { seq: 1 })))
      await Promise.all([cancelled, instance.alarm()])
    })
    expect(await log(clock)).toEqual(["b true"])
  })

  it("with a receive timeout signal that no message came", async () => {
    const clock = newClock()
    await tell(clock, "idle", 60_000)
    await later(clock, 30_000)
    expect(await log(clock)).toEqual([])
    await later(clock, 60_000)
    await eventually(async () => expect(await log(clock)).toEqual(["idle"]))
  })
})

describe("a watch of a durable actor", () => {
  it("tells it once of another's end, over evictions of both", async () => {
    const clock = newClock()
    const account = newAccount()
    await tell(account, "deposit", 1)
    await tell(clock, "watch", account.name)
    await eventually(() =>
      runInDurableObject(account.stub, (_, { storage }) => {
        expect(storage.sql.exec("SELECT address FROM actor_watcher").toArray()).toEqual([
          { address: clock.address },
        ])
      }),
    )
    await evictAllDurableObjects()
    await tell(account, "close", null)
    await eventually(async () =>
      expect(await ask(clock, "log")).toMatchObject(answered([`${account.address} unregistered`])),
    )
    await tell(account, "close", null)
    expect(await ask(clock, "log")).toMatchObject(answered([`${account.address} unregistered`]))
  })

  it("has the alarm armed when it is told of an end, which would be lost with its memory", async () => {
    const clock = newClock()
    const account = newAccount()
    await tell(account, "deposit", 1)
    await tell(clock, "watch", account.name)
    const inClock = <A>(look: (storage: DurableObjectStorage) => A | Promise<A>) =>
      runInDurableObject(clock.stub, (_, { storage }) => look(storage))
    await eventually(() =>
      inClock(({ sql }) => expect(sql.exec("SELECT begun FROM actor_watching").one()).toEqual({ begun: 1 })),
    )
    await runDurableObjectAlarm(clock.stub)
    expect(await inClock((storage) => storage.getAlarm())).toBe(null)
    await tell(account, "close", null)
    await eventually(() => inClock(async (storage) => expect(await storage.getAlarm()).not.toBe(null)))
  })
})
