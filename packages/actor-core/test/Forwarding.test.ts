import { expect, it } from "vitest"
import type { Envelope } from "../src/Envelope.ts"
import { accepts, answeredFor, isAnswerOf, isByHub, uncorrelated, unmarked } from "../src/Forwarding.ts"

const PEER = "@(node/peer)"
const EVE = "@(node/eve)"
const HUB = "@(cloudflare/signal-hub)"
const said = (fields: Partial<Envelope>): Envelope => ({
  id: "1",
  from: PEER,
  to: EVE,
  type: "x",
  payload: null,
  pattern: "tell",
  correlationId: "a",
  timestamp: 0,
  metadata: {},
  ttl: null,
  signature: null,
  ...fields,
})

it("fault 67: a tell of who was asked answers, or of who has it in its place; an ask never does", () => {
  expect(isAnswerOf(PEER, said({}))).toBe(true)
  expect(isAnswerOf(PEER, said({ from: EVE, metadata: { answeredFor: PEER } }))).toBe(true)
  expect(isAnswerOf(PEER, said({ from: EVE }))).toBe(false)
  expect(isAnswerOf(PEER, said({ pattern: "ask" }))).toBe(false)
  expect(isByHub(said({ from: HUB, type: "hub:error" }))).toBe(true)
  const others: ReadonlyArray<Partial<Envelope>> = [
    { type: "hub:error" },
    { from: HUB },
    { from: HUB, type: "hub:error", pattern: "ask" },
  ]
  for (const other of others) expect(isByHub(said(other))).toBe(false)
})

it("fault 67: an ask has no name of another", () => {
  expect(uncorrelated(said({ pattern: "ask" })).correlationId).toBe(null)
  const tell = said({})
  expect(uncorrelated(tell)).toBe(tell)
})

it("says for whom where that is another, and takes out what others say; what has nothing stays the same", () => {
  const own = { own: 1 }
  expect(answeredFor(own, PEER, EVE)).toEqual({ own: 1, answeredFor: PEER })
  expect(answeredFor({ own: 1, answeredFor: EVE }, PEER, PEER)).toEqual(own)
  expect(answeredFor(own, PEER, PEER)).toBe(own)
  expect(answeredFor(own, PEER, HUB)).toBe(own)
  expect(unmarked(own)).toBe(own)
  expect(unmarked({ own: 1, answeredFor: EVE, forwardedBy: EVE, forwardedByServer: true })).toEqual(own)
})

it("fault 68: an actor takes what clients forward only where it says so", () => {
  const byEve = { forwardedBy: EVE }
  expect([undefined, false, true, () => false, () => true].map((option) => accepts(option, byEve))).toEqual([
    false,
    false,
    true,
    false,
    true,
  ])
  expect(accepts(undefined, { ...byEve, forwardedByServer: true })).toBe(true)
  expect(accepts(undefined, {})).toBe(true)
})
