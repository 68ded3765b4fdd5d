import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ReliableParty } from "../support/ReliableParty.ts"
import { TestHub } from "../support/TestHub.ts"

const IDENTITIES = ["@(node/a)", "@(node/b)", "@(node/c)"] as const

const who = fc.nat(IDENTITIES.length - 1)
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant("tell" as const), who, to: who, size: fc.constantFrom(1, 400) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("ask" as const), who, to: who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("answer" as const), who }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("take" as const), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("drop" as const), who, isHeard: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("connect" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("takeOver" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("evict" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(1, 300, 61_000) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

interface Sent {
  readonly id: string
  readonly by: ReliableParty
  readonly to: string
  readonly pattern: "tell" | "ask"
}

/** Processes of a few identities on one hub, and what they sent. */
class Life {
  // So small a window that what waits is transmitted in parts.
  readonly hub = new TestHub({ replayWindow: 600 })
  readonly current: Array<ReliableParty>
  readonly all: Array<ReliableParty> = []
  readonly sent: Array<Sent> = []
  readonly answers = new Map<string, number>()

  constructor() {
    this.current = IDENTITIES.map((identity) => this.#begin(identity))
  }

  #begin(identity: string): ReliableParty {
    const party = new ReliableParty(this.hub, identity)
    party.connect()
    this.all.push(party)
    return party
  }

  run(one: Step): void {
    const { hub } = this
    if (one.do === "advance") return hub.advance(one.ms)
    if (one.do === "evict") return void hub.evict()
    if (one.do === "crash") {
      hub.crash()
      for (const party of this.current) party.drop(false)
      return
    }
    const party = this.current[one.who]!
    if (one.do === "takeOver") {
      this.current[one.who] = this.#begin(party.identity)
      party.take()
    } else if (one.do === "tell") this.#send(party, one.to, "tell", "x".repeat(one.size))
    else if (one.do === "ask") this.#send(party, one.to, "ask", null)
    else if (one.do === "answer") this.#answer(party)
    else if (one.do === "drop") party.drop(one.isHeard)
    else if (one.do === "connect") party.connect()
    else party[one.do]()
  }

  #send(by: ReliableParty, to: number, pattern: "tell" | "ask", text: string | null): void {
    const id = `m${this.sent.length}`
    this.sent.push({ id, by, to: IDENTITIES[to]!, pattern })
    by.send({ id, to: IDENTITIES[to]!, type: "note", payload: text, pattern, correlationId: null })
  }

  /** Answers the first ask that it has not answered. */
  #answer(party: ReliableParty): void {
    const ask = party.taken.find(
      ({ id, pattern }) => pattern === "ask" && !this.answers.has(`${party.identity} ${id}`),
    )
    if (ask === undefined) return
    const key = `${party.identity} ${ask.id}`
    this.answers.set(key, 1)
    const to = ask.from as Sent["to"] as never
    party.send({
      id: `answer to ${ask.id}`,
      to,
      type: "answer",
      payload: 1,
      pattern: "tell",
      correlationId: ask.id,
    })
  }

  /** Everybody has a good connection until nothing moves any more. */
  settle(): void {
    // Who was put out without hearing of it hears of it now.
    for (const party of this.all) if (!this.current.includes(party)) party.connect()
    for (let round = 0; round < 40; round++) {
      for (const party of this.current) {
        if (!party.isConnected || round === 0) party.connect()
        party.take()
        party.acknowledge()
        this.#answer(party)
      }
      this.hub.advance(300)
    }
    for (const party of this.current) party.take()
  }
}

const live = (steps: ReadonlyArray<Step>): Life => {
  const life = new Life()
  for (const one of steps) life.run(one)
  life.settle()
  return life
}

describe("whatever connections, processes and memory do", () => {
  const lives = fc.array(step, { maxLength: 120 })
  const property = (judge: (life: Life) => void, numRuns = 250): void =>
    fc.assert(
      fc.property(lives, (steps) => judge(live(steps))),
      { numRuns },
    )

  it("each process gets what another sent to it in order, and nothing twice", () => {
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
  })

  it("fault 12, fault 14: what is sent arrives, or its sender is told", () => {
    property(({ all, sent }) => {
      const lost = sent.filter(
        ({ by, id, to }) =>
          !by.reported.has(id) &&
          !all.some(({ identity, taken }) => identity === to && taken.some((one) => one.id === id)),
      )
      expect(lost.map(({ id }) => id)).toEqual([])
    }, 1_000)
  })

  it("an ask ends once, unless another process took over from who asked", () => {
    property(({ current, sent }) => {
      for (const { by, id, pattern } of sent) {
        if (pattern !== "ask" || !current.includes(by)) continue
        const answers = by.taken.filter(({ correlationId }) => correlationId === id).length
        expect(answers + (by.reported.has(id) ? 1 : 0), `the ends of ${id}`).toBe(1)
      }
    })
  })

  it("nothing is kept of what everybody has", () => {
    property(({ hub }) => {
      expect(hub.sql.count("outbox")).toBe(0)
      expect(hub.sql.count("ask")).toBe(0)
    })
  })
})
