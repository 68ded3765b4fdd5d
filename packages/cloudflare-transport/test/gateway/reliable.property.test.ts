import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CallFailed } from "../../src/delivery/Rpc.ts"
import { ReliableParty } from "../support/ReliableParty.ts"
import { type Fate, TestSystem } from "../support/TestSystem.ts"

const IDENTITIES = ["@(user/a)", "@(user/b)", "@(user/c)"] as const

const who = fc.nat(IDENTITIES.length - 1)
const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("tell" as const), who, to: who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("ask" as const), who, to: who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("answer" as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("take" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("drop" as const), who, isHeard: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("connect" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("takeOver" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("crash" as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("evict" as const) }) },
  {
    weight: 14,
    arbitrary: fc.record({ do: fc.constant("step" as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(1, 300, 1_600, 12_000) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const broken = new CallFailed("actor_terminated", "it can't be reached")
/** What becomes of a call: some arrive. */
const fate = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Fate>("arrives") },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Fate>("hangs", "unheard", "breaks", "late", "twice", broken),
  },
)

interface Sent {
  readonly id: string
  readonly by: ReliableParty
  readonly to: string
  readonly isAsk: boolean
}

/** Processes of a few identities, each at its gateway, and what they sent. */
class Life {
  readonly system: TestSystem
  readonly current: Array<ReliableParty>
  readonly all: Array<ReliableParty> = []
  readonly sent: Array<Sent> = []
  /** Asks that each process has answered. */
  readonly #answered = new Map<ReliableParty, Set<string>>()
  readonly #cancelled = new Set<string>()

  constructor(seed: number, fates: ReadonlyArray<Fate>) {
    // Silence, and how long an ask may take, are other matters.
    const limits = { heartbeatInterval: Number.POSITIVE_INFINITY, defaultAskTimeout: 3_600_000 }
    this.system = new TestSystem({ ...limits, replayWindow: 600 }, seed)
    let calls = 0
    this.system.fate = ({ kind }) => (kind === "address" ? fates[calls++ % fates.length]! : "arrives")
    this.current = IDENTITIES.map((identity) => this.#begin(identity))
    // What is under way goes on as the steps say.
    for (const { hub } of this.system.gateways.values()) hub.afterwards = () => {}
  }

  #begin(identity: string): ReliableParty {
    const party = new ReliableParty(this.system.gateway(identity), identity)
    party.connect()
    this.all.push(party)
    return party
  }

  run(one: Step): void {
    const { system } = this
    if (one.do === "advance") return system.advance(one.ms)
    if (one.do === "evict") return void system.evictAll()
    if (one.do === "step") {
      for (let count = 0; count < one.count; count++) system.step()
      return
    }
    const party = this.current[one.who]!
    if (one.do === "crash") {
      party.take()
      system.crash(party.identity)
      party.drop(false)
    } else if (one.do === "takeOver") {
      this.current[one.who] = this.#begin(party.identity)
      party.take()
    } else if (one.do === "tell" || one.do === "ask") this.#send(party, one.to, one.do)
    else if (one.do === "answer") this.#answer(party)
    else if (one.do === "cancel") this.#cancel(party)
    else if (one.do === "drop") party.drop(one.isHeard)
    else if (one.do === "connect") party.connect()
    else party[one.do]()
  }

  #send(by: ReliableParty, to: number, pattern: "tell" | "ask"): void {
    const id = `m${this.sent.length}`
    this.sent.push({ id, by, to: IDENTITIES[to]!, isAsk: pattern === "ask" })
    by.send({ id, to: IDENTITIES[to]!, type: "note", payload: null, pattern, correlationId: null })
  }

  /** Answers the first ask that it has not answered. */
  #answer(party: ReliableParty): void {
    const answered = this.#answered.get(party) ?? new Set()
    this.#answered.set(party, answered)
    const ask = party.taken.find(({ id, pattern }) => pattern === "ask" && !answered.has(id))
    if (ask === undefined) return
    answered.add(ask.id)
    this.#about(party, ask.from as Sent["to"], `answer to ${ask.id}`, "answer", ask.id)
  }

  /** Cancels the first ask that it may not have cancelled. */
  #cancel(party: ReliableParty): void {
    const ask = this.sent.find(({ by, id, isAsk }) => by === party && isAsk && !this.#cancelled.has(id))
    if (ask === undefined) return
    this.#cancelled.add(ask.id)
    this.#about(party, ask.to, `cancel of ${ask.id}`, "actor:cancel", ask.id)
  }

  #about(party: ReliableParty, to: string, id: string, type: string, correlationId: string): void {
    party.send({
      id,
      to: to as (typeof IDENTITIES)[number],
      type,
      payload: null,
      pattern: "tell",
      correlationId,
    })
  }

  /** Whoever asked has given up. */
  isCancelled(id: string): boolean {
    return this.#cancelled.has(id)
  }

  /** Everybody has a good connection, and calls arrive, until nothing moves any more. */
  settle(): void {
    const { system } = this
    system.fate = () => "arrives"
    // Who was put out without hearing of it hears of it now.
    for (const party of this.all) if (!this.current.includes(party)) party.connect()
    for (let round = 0; round < 40; round++) {
      for (const party of this.current) {
        if (!party.isConnected || round === 0) party.connect()
        party.take()
        party.acknowledge()
        this.#answer(party)
      }
      system.advance(3_000)
      system.settle()
    }
    for (const party of this.current) party.take()
  }
}

describe("whatever calls, gateways, connections and processes do", () => {
  const lives = fc.record({
    seed: fc.nat(),
    fates: fc.array(fate, { minLength: 1, maxLength: 40 }),
    steps: fc.array(step, { maxLength: 120, size: "max" }),
  })
  const property = (judge: (life: Life) => void): void =>
    fc.assert(
      fc.property(lives, ({ fates, seed, steps }) => {
        const life = new Life(seed, fates)
        for (const one of steps) life.run(one)
        life.settle()
        judge(life)
      }),
      { numRuns: 200 },
    )

  it("faults 34, 42: each process gets what another sent to it in order, and nothing twice", () => {
    property(({ all, sent }) => {
      const place = new Map(sent.map(({ id }, at) => [id, at]))
      for (const party of all) {
        const ids = party.taken.map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        for (const sender of all) {
          const places = party.taken
            .map(({ id }) => place.get(id))
            .filter((at) => at !== undefined && sent[at]!.by === sender)
          expect(places).toEqual(places.toSorted((a, b) => a! - b!))
        }
      }
    })
  }, 60_000)

  it("faults 12, 14: what is sent arrives, or its sender is told", () => {
    property(({ all, sent }) => {
      const lost = sent.filter(
        ({ by, id, to }) =>
          !by.reported.has(id) &&
          !all.some(({ identity, taken }) => identity === to && taken.some((one) => one.id === id)),
      )
      expect(lost.map(({ id }) => id)).toEqual([])
    })
  }, 60_000)

  it("fault 5: an ask ends once, unless it was cancelled, or another process took over from who asked", () => {
    property((life) => {
      for (const { by, id, isAsk } of life.sent) {
        if (!isAsk || !life.current.includes(by) || life.isCancelled(id)) continue
        const ends = by.came.filter(({ correlationId, seq }) => correlationId === id && seq !== undefined)
        const isUnconfirmed = ends.length === 0 && by.reported.has(id)
        expect(isUnconfirmed ? 1 : ends.length, `the ends of ${id}`).toBe(1)
      }
    })
  }, 60_000)

  it("nothing is kept of what everybody has, and nothing once it can't come again", () => {
    property(({ system, current }) => {
      for (const [identity, { hub }] of system.gateways) {
        for (const table of ["outbox", "ask", "sending"]) {
          expect(hub.sql.count(table), `${table} of ${identity}`).toBe(0)
        }
      }
      for (const party of current) party.drop(true)
      system.advance(8 * 24 * 3_600_000)
      for (const [identity, { hub }] of system.gateways) {
        expect(hub.sql.count("watermark"), `watermark of ${identity}`).toBe(0)
        expect(hub.alarmAt, `alarm of ${identity}`).toBe(null)
      }
    })
  }, 60_000)
})
