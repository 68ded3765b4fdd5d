import { JsonCodec } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import type { Connection } from "../../src/session/Connection.ts"
import { canGo, type ConnectionState } from "../../src/session/ConnectionState.ts"
import { Backlog } from "../../src/session/Backlog.ts"
import { Flow, NO_FLOW } from "../../src/session/Flow.ts"
import { isSilent, lastHeard, leaseUntil, sessionHeard } from "../../src/session/Liveness.ts"
import { InSequence } from "../../src/session/InSequence.ts"
import { fullBucket, RateBucket } from "../../src/session/RateBucket.ts"
import { addressOf, type Session } from "../../src/session/Session.ts"
import { planTakeover } from "../../src/session/Takeover.ts"

const session = (fields: Partial<Session> = {}): Session => ({
  id: "s1",
  connectionId: "c1",
  connection: undefined,
  identity: "@(node/a)",
  claims: null,
  epoch: 1,
  major: 0,
  metadata: {},
  connectedAt: 0,
  expirySeconds: 0,
  heardAt: 0,
  graceUntil: null,
  resumeToken: null,
  previousToken: null,
  incoming: new InSequence(0),
  outAcked: 0,
  replayed: null,
  outbox: undefined,
  received: 0,
  receivedSince: 0,
  asked: new Set(),
  answering: new Set(),
  addresses: 0,
  subscriptions: 0,
  watches: 0,
  ...fields,
})

const connection = (fields: Partial<Connection> = {}): Connection => ({
  id: "c1",
  codec: JsonCodec,
  openedAt: 0,
  state: "connected",
  sessionId: "s1",
  session: undefined,
  major: 0,
  strikes: 0,
  failures: 0,
  rate: new RateBucket(DEFAULT_LIMITS, fullBucket(DEFAULT_LIMITS, 0)),
  flow: new Flow(DEFAULT_LIMITS, NO_FLOW, new Backlog(DEFAULT_LIMITS, () => {})),
  heardAt: 0,
  claims: null,
  outgoing: [],
  frame: undefined,
  received: 0,
  isAnonymous: false,
  positions: { count: 0, addresses: [] },
  parked: null,
  replies: null,
  pingedAt: () => 0,
  send: () => {},
  save: () => {},
  close: () => {},
  ...fields,
})

describe("states of a connection", () => {
  const STATES = ["connecting", "connected", "disconnecting", "disconnected"] as const
  const ALLOWED = new Set([
    "connecting connected",
    "connecting disconnected",
    "connected disconnecting",
    "connected disconnected",
    "disconnecting disconnected",
  ])
  const pairs = STATES.flatMap((from) => STATES.map((to) => [from, to] as const))

  it.each<readonly [ConnectionState, ConnectionState]>(pairs)(
    "%s → %s only where the protocol has it",
    (from, to) => {
      expect(canGo(from, to)).toBe(ALLOWED.has(`${from} ${to}`))
    },
  )
})

describe("liveness", () => {
  const { heartbeatInterval } = DEFAULT_LIMITS

  it("counts a ping that the runtime answered as heard, and a frame too, whichever was later", () => {
    expect(lastHeard(connection({ heardAt: 5, pingedAt: () => 9 }))).toBe(9)
    expect(lastHeard(connection({ heardAt: 9, pingedAt: () => 5 }))).toBe(9)
  })

  it("fault 6: three silent intervals are death, a millisecond less is not", () => {
    const silent = connection({ heardAt: 1_000 })
    expect(isSilent(silent, DEFAULT_LIMITS, 1_000 + 3 * heartbeatInterval - 1)).toBe(false)
    expect(isSilent(silent, DEFAULT_LIMITS, 1_000 + 3 * heartbeatInterval)).toBe(true)
  })

  it("a session without a connection was last heard when it lost it", () => {
    expect(sessionHeard(session({ heardAt: 7, connectionId: null }), undefined, 20)).toBe(7)
    expect(sessionHeard(session({ heardAt: 7 }), connection({ heardAt: 9 }), 20)).toBe(9)
  })

  it("a session whose socket went unnoticed is not yet known to be silent", () => {
    expect(sessionHeard(session({ heardAt: 7 }), undefined, 20)).toBe(20)
  })

  it("a lease holds for its TTL, but never less than three intervals", () => {
    expect(leaseUntil(1_000, 300, DEFAULT_LIMITS)).toBe(301_000)
    expect(leaseUntil(1_000, 10, DEFAULT_LIMITS)).toBe(1_000 + 3 * heartbeatInterval)
  })
})

describe("takeover", () => {
  it("gives the first claim of an identity epoch 1 and supersedes nobody", () => {
    expect(planTakeover(session(), undefined, 0)).toEqual({
      epoch: 1,
      superseded: undefined,
      registrationsPass: false,
    })
  })

  it("raises the stored epoch and supersedes the holder", () => {
    const holder = session({ id: "s0" })
    expect(planTakeover(session(), holder, 41)).toMatchObject({ epoch: 42, superseded: holder })
  })

  it("passes other registrations on only from a holder that had a grace period", () => {
    const of = (expirySeconds: number) =>
      planTakeover(session(), session({ id: "s0", expirySeconds }), 1).registrationsPass
    expect(of(0)).toBe(false)
    expect(of(1)).toBe(true)
  })

  it("never supersedes the session that claims", () => {
    const claimant = session()
    expect(planTakeover(claimant, claimant, 3).superseded).toBe(undefined)
  })
})

describe("the sequence of what comes in", () => {
  it("takes the next, drops repeats, and sees a gap", () => {
    const incoming = new InSequence(4)
    expect(incoming.order(5)).toBe("next")
    expect(incoming.order(5)).toBe("repeat")
    expect(incoming.order(1)).toBe("repeat")
    expect(incoming.order(7)).toBe("gap")
    expect(incoming.order(6)).toBe("next")
    expect(incoming.arrived).toBe(6)
  })

  it("has what was not worked on come again on another connection", () => {
    const incoming = new InSequence(0)
    incoming.order(1)
    incoming.order(2)
    incoming.done = 1
    incoming.restart()
    expect(incoming.order(2)).toBe("next")
  })

  it("owes its client a receipt for what was taken, and for a repeat", () => {
    const incoming = new InSequence(0)
    expect(incoming.isDue).toBe(false)
    incoming.order(1)
    incoming.taken = 1
    expect(incoming.isDue).toBe(true)
    incoming.tell(9)
    expect(incoming.isDue).toBe(false)
    incoming.order(1)
    expect(incoming.isDue).toBe(true)
  })
})

it("a session without an identity is known by a provisional address", () => {
  expect(addressOf(session({ identity: null }))).toBe("@(session/s1)")
  expect(addressOf(session())).toBe("@(node/a)")
})
