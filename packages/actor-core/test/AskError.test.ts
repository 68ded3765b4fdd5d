import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HUB_ADDRESS, type Address } from "../src/Address.ts"
import * as AskError from "../src/AskError.ts"
import { check, Malformed, type Envelope } from "../src/Envelope.ts"

const answer = (type: string, payload: unknown, from: Address = HUB_ADDRESS): Envelope => {
  const envelope = check({
    id: "1",
    from,
    to: "@(a/b)",
    type,
    payload,
    pattern: "tell",
    timestamp: 0,
    correlationId: "2",
  })
  if (envelope instanceof Malformed) throw new Error(envelope.reason)
  return envelope
}

describe("a failure that is read off an envelope", () => {
  it.each([
    ["hub:unknown_actor", { actorAddress: "@(x/y)", message: "m" }, "UnknownActor"],
    ["hub:error", { code: "timeout", message: "m" }, "AskTimeout"],
    ["hub:error", { code: "actor_terminated", message: "m" }, "ActorTerminated"],
    ["hub:error", { code: "queue_full", message: "m", retryable: true }, "AskRefused"],
    ["hub:rate_limited", { retryAfterMs: 5 }, "AskRefused"],
    ["actor:error", { code: "boom", message: "m", retryable: false }, "ActorFailed"],
    ["actor:error", { code: "actor_terminated", message: "m" }, "ActorTerminated"],
    ["actor:error", { code: "unknown_actor", message: "m" }, "UnknownActor"],
    ["actor:error", { code: "unknown_actor", message: "m", data: 1 }, "ActorFailed"],
  ])("%s %j is %s", (type, payload, tag) => {
    expect(AskError.fromEnvelope(answer(type, payload))?._tag).toBe(tag)
  })

  it("is believed in the hub's name from the hub only", () => {
    expect(AskError.fromEnvelope(answer("hub:unknown_actor", {}, "@(browser/eve)"))).toBeUndefined()
    expect(AskError.fromEnvelope(answer("hub:error", { code: "timeout" }, "@(browser/eve)"))).toBeUndefined()
  })

  it("never throws, whatever is in it", () => {
    const type = fc.constantFrom("actor:error", "hub:error", "hub:unknown_actor", "hub:rate_limited")
    const field = fc.constantFrom("code", "message", "retryable", "data", "actorAddress", "details")
    fc.assert(
      fc.property(type, fc.oneof(fc.dictionary(field, fc.jsonValue()), fc.jsonValue()), (type, payload) => {
        expect(AskError.fromEnvelope(answer(type, payload))).toBeDefined()
      }),
    )
  })
})
