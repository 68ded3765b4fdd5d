import { describe, expect, it } from "vitest"
import { CallFailed, type Outcome, TAKEN } from "../../src/delivery/Rpc.ts"
import { Watermarks } from "../../src/delivery/Watermarks.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { envelope } from "../support/envelope.ts"
import { Peer } from "../support/Peer.ts"
import type { Received } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"
import { backend, type Fate, TestSystem } from "../support/TestSystem.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"
const ROOM = "@(room/1)"
const V1 = { protocolVersion: "1.0.0", sessionExpirySeconds: 60 }
const WEEK = 7 * 24 * 3_600_000

const two = (limits = {}, seed = 1) => {
  // Silence is another matter.
  const system = new TestSystem({ heartbeatInterval: Number.POSITIVE_INFINITY, ...limits }, seed)
  return { system, ada: new Peer(system, ADA), bob: new Peer(system, BOB) }
}

/** The next call of `deliver` to the object meets this, the others arrive. */
const once = (system: TestSystem, name: string, fate: Fate): void => {
  system.fate = (call) => {
    if (call.name !== name || call.method !== "deliver") return "arrives"
    system.fate = () => "arrives"
    return fate
  }
}
const rows = (system: TestSystem, identity: string, table: string): number =>
  system.gateway(identity).sql.count(table)
const payloads = (came: ReadonlyArray<Received>): ReadonlyArray<unknown> => came.map(({ payload }) => payload)
const failures = (came: ReadonlyArray<Received>) =>
  came.map(({ type, payload, correlationId }) => [type === "hub:error" ? payload.code : type, correlationId])
const numbers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe("what leaves a gateway reliably", () => {
  it("is a row in the turn that takes it, and none once it was taken", () => {
    const { system, ada, bob } = two()
    const settle = system.settle
    const gateway = system.gateway(ADA)
    gateway.afterwards = () => {}
    ada.tell(BOB, "note", 1)
    expect(rows(system, ADA, "sending")).toBe(1)
    expect(gateway.sql.all("SELECT in_seq FROM session")).toEqual([{ in_seq: 1 }])
    settle()
    expect(rows(system, ADA, "sending")).toBe(0)
    expect(payloads(bob.of("note"))).toEqual([1])
  })

  it("fault 42: has the numbers of another life once its gateway's storage was deleted", () => {
    const { system, ada, bob } = two()
    ada.tell(BOB, "note", 1)
    const numbersOf = () =>
      system.gateway(ADA).sql.all<{ id: string; reserved: number }>("SELECT id, reserved FROM numbers")
    const [before] = numbersOf()
    ada.client.request("hub:disconnect", {})
    ada.client.drop()
    system.advance(system.limits.identityKeptFor)
    expect(system.gateway(ADA).isForgotten).toBe(true)
    // In the same memory: rows are the truth, and those are gone.
    new Peer(system, ADA).tell(BOB, "note", 2)
    const [after] = numbersOf()
    expect(after).toEqual({ id: expect.any(String), reserved: 1_001 })
    expect(after!.id).not.toBe(before!.id)
    expect(payloads(bob.of("note"))).toEqual([1, 2])
  })

  it("fault 14: is not lost where its gateway crashes before it has left", () => {
    const { system, ada, bob } = two()
    system.gateway(ADA).afterwards = () => {}
    for (const n of numbers(1, 3)) ada.tell(BOB, "note", n)
    system.crash(ADA)
    expect(bob.of("note")).toEqual([])
    // Whatever wakes the object sends it.
    system.gateway(ADA)
    system.settle()
    expect(payloads(bob.of("note"))).toEqual([1, 2, 3])
    expect(rows(system, ADA, "sending")).toBe(0)
  })

  it("travels with all that leaves for its target in one turn, in one row, in its place among what is volatile", () => {
    const { system, ada, bob } = two()
    const hub = system.gateway(ADA)
    hub.afterwards = () => {}
    const written = hub.sql.record(() => {
      const connection = hub.connection(ada.client.socket.id)!
      for (const n of numbers(1, 5)) {
        const seq = n % 2 === 1 ? (n + 1) / 2 : undefined
        if (seq !== undefined) hub.core.order(connection, seq)
        hub.core.received(
          connection,
          envelope(BOB, "note", n, { id: `n${n}`, ...(seq !== undefined && { seq }) }),
          hub.now(),
        )
      }
      hub.flush()
    })
    expect(written.filter((query) => query.startsWith("INSERT INTO sending"))).toHaveLength(1)
    const before = system.calls.length
    system.settle()
    expect(system.calls.slice(before).filter(({ name }) => name === BOB)).toHaveLength(1)
    expect(payloads(bob.client.take().filter(({ type }) => type === "note"))).toEqual([1, 2, 3, 4, 5])
  })

  it.each<Fate>(["hangs", "unheard", "breaks", "late", "twice"])(
    "faults 34, 42: arrives once and in order where a call %s",
    (fate) => {
      const { system, ada, bob } = two()
      ada.tell(BOB, "note", 1)
      once(system, BOB, fate)
      for (const n of numbers(2, 4)) ada.tell(BOB, "note", n)
      system.advance(60_000)
      ada.tell(BOB, "note", 5)
      expect(payloads(bob.of("note"))).toEqual([1, 2, 3, 4, 5])
      expect(rows(system, ADA, "sending")).toBe(0)
    },
  )

  it("fault 34: is not overtaken by what comes while its target can't be reached", () => {
    const { system, ada, bob } = two()
    system.fate = ({ name }) =>
      name === BOB ? new CallFailed("actor_terminated", "it can't be reached") : "arrives"
    for (const n of numbers(1, 3)) ada.tell(BOB, "note", n)
    const volatile = ada.client.ask(BOB, "question")
    expect(ada.client.take().filter(({ correlationId }) => correlationId === volatile)).toMatchObject([
      { type: "hub:error", payload: { code: "actor_terminated" } },
    ])
    system.fate = () => "arrives"
    for (const n of numbers(4, 6)) ada.tell(BOB, "note", n)
    ada.client.tell(BOB, "note", "lost")
    expect([...bob.of("note"), ...bob.volatile("note")]).toEqual([])
    system.advance(1_000)
    expect(payloads(bob.of("note"))).toEqual([1, 2, 3, 4, 5, 6])
    ada.client.tell(BOB, "note", 7)
    expect(payloads(bob.volatile("note"))).toEqual([7])
  })

  it("is sent again later and later, by the alarm, whatever memory is lost, for about a day", () => {
    const { system, ada } = two()
    const times: Array<number> = []
    system.fate = ({ name, method }) => {
      if (name !== BOB || method !== "deliver") return "arrives"
      times.push(system.now())
      return new CallFailed("actor_terminated", "it can't be reached")
    }
    const id = ada.tell(BOB, "note", 1)
    for (let hour = 0; hour < 30; hour++) {
      system.evictAll()
      system.advance(3_600_000)
      if (hour === 0) ada.drop(true)
    }
    const waits = times.slice(1).map((at, i) => at - times[i]!)
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(Math.max(...waits)).toBeLessThanOrEqual(3_600_000)
    expect(times).toHaveLength(34)
    expect(rows(system, ADA, "sending")).toBe(0)
    expect(system.gateway(ADA).logged("delivery_failed")).toMatchObject([{ messageId: id }])
  })

  it("is refused queue_full, typed and reliable, where too much waits", () => {
    const { system, ada, bob } = two({ maxLane: 3 })
    system.fate = ({ name }) => (name === BOB ? "hangs" : "arrives")
    const ids = numbers(1, 5).map((n) => ada.tell(BOB, "note", n))
    const asked = ada.ask(BOB, "question")
    expect(failures(ada.of("hub:error"))).toEqual([
      ["queue_full", ids[3]],
      ["queue_full", ids[4]],
      ["queue_full", asked],
    ])
    system.fate = () => "arrives"
    system.advance(20_000)
    expect(payloads(bob.of("note"))).toEqual([1, 2, 3])
    expect(rows(system, ADA, "ask")).toBe(0)
  })

  it("fault 5: is sent on by the alarm where the object sleeps when it is due", () => {
    const { system, ada, bob } = two()
    once(system, BOB, new CallFailed("actor_terminated", "it can't be reached"))
    ada.tell(BOB, "note", 1)
    system.evictAll()
    expect(bob.of("note")).toEqual([])
    system.advance(1_000)
    expect(payloads(bob.of("note"))).toEqual([1])
  })

  it("says the rights that its sender had, also when that is gone", () => {
    const system = new TestSystem().requireTokens()
    const seen: Array<unknown> = []
    system.backends.set(
      ROOM,
      backend((_, { caller }) => {
        seen.push(caller.claims)
        return TAKEN
      }),
    )
    const ada = system.enter({ actorId: ADA, capabilities: ["list"], exp: system.now() / 1_000 + 50 }, V1)
    once(system, ROOM, new CallFailed("actor_terminated", "it can't be reached"))
    ada.surely({ to: ROOM, type: "note" })
    ada.request("hub:disconnect", {})
    system.advance(2_000)
    expect(seen).toMatchObject([{ capabilities: ["list"] }])
  })

  it("is told expired where its time ran out before it left, and is not delivered too late after", () => {
    const { system, ada, bob } = two()
    system.fate = ({ name }) => (name === BOB ? "hangs" : "arrives")
    const first = ada.tell(BOB, "note", null, 5_000)
    const second = ada.tell(BOB, "note", null, 5_000)
    system.advance(9_999)
    system.fate = () => "arrives"
    system.advance(10_000)
    expect(failures(ada.of("hub:error"))).toEqual([
      ["message_expired", first],
      ["message_expired", second],
    ])
    expect(bob.of("note")).toEqual([])
  })
})

describe("what comes to a gateway reliably", () => {
  it("fault 42: that comes again after its gateway crashed has no second effect", () => {
    const { system, ada, bob } = two()
    once(system, BOB, "unheard")
    for (const n of numbers(1, 3)) ada.tell(BOB, "note", n)
    bob.of("note")
    system.crash(BOB)
    bob.connect()
    system.advance(30_000)
    expect(payloads(bob.of("note"))).toEqual([1, 2, 3])
    expect(rows(system, BOB, "watermark")).toBe(1)
  })

  it("fault 22: waits for a session in its grace period, and comes before what is new", () => {
    const { system, ada, bob } = two()
    bob.drop(true)
    for (const n of numbers(1, 3)) ada.tell(BOB, "note", n)
    expect(rows(system, BOB, "outbox")).toBeGreaterThan(0)
    system.evictAll()
    bob.connect()
    ada.tell(BOB, "note", 4)
    expect(payloads(bob.of("note"))).toEqual([1, 2, 3, 4])
    // What a client has goes soon, not at once.
    system.advance(1_000)
    expect(rows(system, BOB, "outbox")).toBe(0)
  })

  it("that expires while it waits for its reader is told of at its sender's gateway", () => {
    const { system, ada, bob } = two()
    bob.drop(true)
    const told = ada.tell(BOB, "note", 1, 5_000)
    ada.tell(BOB, "note", 2)
    system.advance(10_000)
    bob.connect()
    expect(payloads(bob.of("note"))).toEqual([2])
    expect(failures(ada.of("hub:error"))).toEqual([["message_expired", told]])
  })

  it("for a session that is over is refused typed", () => {
    const { system, ada, bob } = two()
    bob.drop(true)
    system.advance(3_700_000)
    const told = ada.tell(BOB, "note")
    const asked = ada.ask(BOB, "question")
    expect(failures(ada.of("hub:unknown_actor"))).toEqual([
      ["hub:unknown_actor", told],
      ["hub:unknown_actor", asked],
    ])
  })

  it("has the same outcome when it comes again, refused or not", () => {
    const { system, ada, bob } = two({ maxOutboxEnvelopes: 2 })
    bob.drop(true)
    once(system, BOB, "unheard")
    system.gateway(ADA).afterwards = () => {}
    const ids = numbers(1, 4).map((n) => ada.tell(BOB, "note", n))
    system.settle()
    // There is room again when they come once more.
    bob.connect()
    system.advance(30_000)
    expect(payloads(bob.of("note"))).toEqual([1, 2])
    expect(failures(ada.of("hub:error"))).toEqual([
      ["queue_full", ids[2]],
      ["queue_full", ids[3]],
    ])
  })

  it("that is for nobody stays so when it comes again alone, though what was behind it was refused as late", () => {
    const { system, bob } = two()
    bob.drop(true)
    system.advance(3_700_000)
    const { core } = system.gateways.get(BOB)!
    const numbered = (seq: number) =>
      envelope(BOB, "note", null, { id: `n${seq}`, from: ADA, ttl: seq === 2 ? 0 : null, seq })
    const deliver = (...numbers: ReadonlyArray<number>) => {
      const deliveries = numbers.map((seq) => ({ envelope: numbered(seq) }))
      const outcomes = core.deliver({ caller: { home: ADA, claims: null, line: "a line" }, deliveries })
      system.gateway(BOB).flush()
      return outcomes.map((outcome) => (outcome.status === "refused" ? outcome.code : outcome.status))
    }
    expect(deliver(1, 2)).toEqual(["unknown_actor", "message_expired"])
    expect(deliver(1)).toEqual(["unknown_actor"])
    expect(deliver(1, 2)).toEqual(["unknown_actor", "message_expired"])
  })

  it("is taken once it is for somebody, and stays so when it comes again", () => {
    const marks = new Watermarks(new TestHub().sql, () => 0)
    marks.note("a line", 1, { status: "elsewhere" })
    marks.note("a line", 1, TAKEN)
    expect(marks.outcome("a line", 1)).toEqual(TAKEN)
  })

  it("is known by its line: another address of the same session has its own", () => {
    const { system, ada, bob } = two()
    bob.client.register("@(desk/1)")
    ada.tell("@(desk/1)", "note", 0)
    once(system, BOB, "late")
    ada.tell(BOB, "note", 1)
    ada.tell("@(desk/1)", "note", 2)
    system.advance(60_000)
    expect(payloads(bob.of("note"))).toEqual([0, 2, 1])
  })

  it("is forgotten after the dedupe window, with no row and no alarm left", () => {
    const { system, ada, bob } = two()
    ada.tell(BOB, "note")
    bob.of("note")
    for (const peer of [ada, bob]) peer.drop(true)
    system.advance(WEEK - 1_000)
    expect(rows(system, BOB, "watermark")).toBe(1)
    system.advance(5_000_000)
    expect(rows(system, BOB, "watermark")).toBe(0)
    expect(system.gateway(BOB).alarmAt).toBe(null)
    expect(system.gateway(ADA).alarmAt).toBe(null)
  })

  it("from a storage that is another since is not taken for what the one before has sent", () => {
    const { system, ada, bob } = two()
    ada.tell(BOB, "note", 1)
    system.gateway(ADA).sql.run("DELETE FROM numbers")
    system.evictAll()
    ada.tell(BOB, "note", 2)
    expect(payloads(bob.of("note"))).toEqual([1, 2])
    expect(rows(system, BOB, "watermark")).toBe(2)
  })
})

describe("a reliable ask", () => {
  it("is a row at both gateways before it is acknowledged, and none when it is over", () => {
    const { system, ada, bob } = two()
    const settle = system.settle
    system.gateway(ADA).afterwards = () => {}
    const id = ada.ask(BOB, "question")
    expect(rows(system, ADA, "ask")).toBe(1)
    expect(rows(system, ADA, "sending")).toBe(1)
    settle()
    expect(rows(system, BOB, "ask")).toBe(1)
    bob.answer(bob.of("question")[0]!, 42)
    settle()
    expect(ada.about(id)).toMatchObject([{ type: "answer", payload: 42 }])
    system.advance(1_000)
    for (const identity of [ADA, BOB]) {
      for (const table of ["ask", "sending", "outbox"]) expect(rows(system, identity, table), table).toBe(0)
    }
  })

  it("faults 5, 14: survives crashes of both gateways, before and after it was delivered and answered", () => {
    const { system, ada, bob } = two()
    const gateways = [system.gateway(ADA), system.gateway(BOB)]
    for (const gateway of gateways) gateway.afterwards = () => {}
    const crashAll = (): void => {
      system.crash(ADA)
      system.crash(BOB)
      ada.connect()
      bob.connect()
    }
    const id = ada.ask(BOB, "question")
    crashAll()
    system.settle()
    crashAll()
    bob.answer(bob.of("question")[0]!, 42)
    crashAll()
    system.settle()
    crashAll()
    system.settle()
    expect(bob.of("question")).toHaveLength(1)
    expect(ada.about(id)).toMatchObject([{ type: "answer", payload: 42 }])
  })

  it("fault 12: is answered into the outbox of who waits for a connection, and comes with the resume", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question")
    ada.drop(true)
    bob.answer(bob.of("question")[0]!, 42)
    system.evictAll()
    ada.connect()
    expect(ada.about(id)).toMatchObject([{ type: "answer", payload: 42 }])
    expect(rows(system, ADA, "ask")).toBe(0)
  })

  it.each<Fate>(["hangs", "unheard", "breaks", "late", "twice"])(
    "fault 42: is delivered once and answered once where a call of either side %s",
    (fate) => {
      const { system, ada, bob } = two()
      once(system, BOB, fate)
      const id = ada.ask(BOB, "question", null, 300_000)
      system.advance(25_000)
      once(system, ADA, fate)
      const [question, ...more] = bob.of("question")
      expect(more).toEqual([])
      bob.answer(question!, 42)
      system.advance(60_000)
      expect(bob.of("question")).toHaveLength(1)
      expect(ada.about(id)).toMatchObject([{ type: "answer", payload: 42 }])
    },
  )

  it("that is cancelled is cancelled there, surely", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question")
    once(system, BOB, "hangs")
    ada.cancel(BOB, id)
    system.evictAll()
    system.advance(20_000)
    expect(bob.of("actor:cancel")).toMatchObject([{ correlationId: id }])
    for (const identity of [ADA, BOB]) expect(rows(system, identity, "ask")).toBe(0)
  })

  it("is cancelled as surely as it was asked where the cancel is volatile", () => {
    const { ada, bob } = two()
    const id = ada.ask(BOB, "question")
    bob.drop(true)
    ada.client.send({ to: BOB, type: "actor:cancel", correlationId: id })
    bob.connect()
    expect(bob.of("actor:cancel")).toMatchObject([{ correlationId: id }])
  })

  it("ends by timeout where its target can't be reached, and leaves nothing behind", () => {
    const { system, ada, bob } = two()
    system.fate = ({ name }) => (name === BOB ? "hangs" : "arrives")
    const id = ada.ask(BOB, "question", null, 5_000)
    system.advance(9_000)
    expect(failures(ada.about(id))).toEqual([["timeout", id]])
    system.fate = () => "arrives"
    system.advance(60_000)
    expect(bob.of("question")).toEqual([])
    expect(ada.about(id)).toHaveLength(1)
    for (const identity of [ADA, BOB]) {
      for (const table of ["ask", "sending"]) expect(rows(system, identity, table)).toBe(0)
    }
  })

  it("fault 12: ends actor_terminated, surely, where the answerer's session is over", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question", null, 7_200_000)
    bob.of("question")
    bob.drop(true)
    ada.drop(true)
    once(system, ADA, "hangs")
    system.advance(3_500_000)
    ada.connect()
    system.advance(250_000)
    expect(failures(ada.about(id))).toEqual([["actor_terminated", id]])
    expect(rows(system, BOB, "ask")).toBe(0)
  })

  it("that is handed on is delivered and answered surely", () => {
    const { system, ada, bob } = two()
    const eve = new Peer(system, "@(user/eve)")
    const id = ada.ask(BOB, "question")
    const [question] = bob.of("question")
    eve.drop(true)
    bob.client.send({ ...question, seq: undefined, to: eve.identity, metadata: { forwardOf: id } })
    eve.connect()
    eve.answer(eve.of("question")[0]!, 42)
    expect(ada.about(id)).toMatchObject([{ type: "answer", payload: 42 }])
    for (const identity of [ADA, BOB, eve.identity]) expect(rows(system, identity, "ask")).toBe(0)
  })
})

describe("backends", () => {
  it("get a reliable envelope again with the same number, and their outcome counts", () => {
    const system = new TestSystem()
    const seen: Array<unknown> = []
    const answer: Outcome = { status: "answered", answer: { type: "actor:reply", payload: 42 } }
    system.backends.set(
      ROOM,
      backend(({ envelope: { seq, payload } }, { caller: { home, line } }) => {
        seen.push([home, line, seq, payload])
        return answer
      }),
    )
    const ada = new Peer(system, ADA)
    once(system, ROOM, "unheard")
    const id = ada.ask(ROOM, "question", 1, 60_000)
    system.advance(20_000)
    expect(ada.about(id)).toMatchObject([{ type: "actor:reply", payload: 42 }])
    expect(seen).toHaveLength(2)
    expect(seen[0]).toEqual(seen[1])
    expect(seen[0]).toEqual([ADA, expect.any(String), expect.any(Number), 1])
  })

  it("that throw are not called again for it; who sent it is told", () => {
    const system = new TestSystem()
    let calls = 0
    system.backends.set(
      ROOM,
      backend(() => {
        calls++
        throw new Error("broken")
      }),
    )
    const ada = new Peer(system, ADA)
    const told = ada.tell(ROOM, "note")
    const asked = ada.ask(ROOM, "question")
    system.advance(60_000)
    expect(calls).toBe(2)
    expect(failures(ada.about(told))).toEqual([["actor_terminated", told]])
    expect(ada.about(asked)).toMatchObject([{ type: "actor:error", payload: { code: "actor_failed" } }])
  })

  it("that are overloaded are left alone; who sent it is told queue_full, unless it may have arrived", () => {
    const { system, ada, bob } = two()
    const overloaded = new CallFailed("queue_full", "it is overloaded")
    once(system, BOB, overloaded)
    const first = ada.tell(BOB, "note", 1)
    expect(failures(ada.about(first))).toEqual([["queue_full", first]])
    const fates: Array<Fate> = ["unheard", overloaded]
    system.fate = ({ name }) => (name === BOB ? (fates.shift() ?? "arrives") : "arrives")
    const second = ada.tell(BOB, "note", 2)
    system.advance(60_000)
    expect(payloads(bob.of("note"))).toEqual([2])
    expect(ada.about(second)).toEqual([])
  })
})

it("hub:send that is reliable is delivered so; refused, that is told of the request", () => {
  const { system, ada, bob } = two()
  bob.drop(true)
  const sent = ada.ask(HUB_ADDRESS, "hub:send", { to: BOB, type: "note", data: 1 })
  bob.connect()
  expect(payloads(bob.of("note"))).toEqual([1])
  expect(ada.volatile("hub:delivery_ack")).toMatchObject([
    { correlationId: sent, payload: { status: "queued" } },
  ])
  const lost = ada.tell(HUB_ADDRESS, "hub:send", { to: "@(user/nobody)", type: "note", data: 1 })
  expect(failures(ada.about(lost))).toEqual([["hub:unknown_actor", lost]])
  expect(system.gateway(ADA).sql.count("sending")).toBe(0)
})

describe("costs", () => {
  const writes = (system: TestSystem, identity: string, work: () => void): ReadonlyArray<string> =>
    system
      .gateway(identity)
      .sql.record(work)
      .flatMap((query) => /^(?:INSERT (?:OR REPLACE )?INTO|UPDATE|DELETE FROM) (\w+)/.exec(query)?.[1] ?? [])

  it("what is volatile writes nothing, at either gateway", () => {
    const { system, ada, bob } = two()
    const there = writes(system, BOB, () => {
      expect(writes(system, ADA, () => ada.client.tell(BOB, "note"))).toEqual([])
    })
    expect(there).toEqual([])
    expect(bob.volatile("note")).toHaveLength(1)
  })

  it("a reliable message writes two rows and a deletion where it is sent, two where it comes", () => {
    const { system, ada } = two()
    ada.tell(BOB, "note")
    const there = writes(system, BOB, () => {
      const here = writes(system, ADA, () => ada.tell(BOB, "note"))
      expect(here).toEqual(["session", "sending", "sending"])
    })
    expect(there).toEqual(["outbox", "watermark"])
  })
})
