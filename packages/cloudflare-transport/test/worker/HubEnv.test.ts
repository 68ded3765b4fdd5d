import { expect, it } from "vitest"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { type HubEnv, limitsOf } from "../../src/object/HubEnv.ts"

const limits = (LIMITS?: HubEnv["LIMITS"]) => limitsOf((LIMITS === undefined ? {} : { LIMITS }) as HubEnv)

it("without LIMITS the defaults hold", () => {
  expect(limits()).toBe(DEFAULT_LIMITS)
  expect(limits("")).toBe(DEFAULT_LIMITS)
})

it("LIMITS overrides what it names and nothing else, as JSON text or as a JSON binding", () => {
  expect(limits('{"maxSessions":5}')).toEqual({ ...DEFAULT_LIMITS, maxSessions: 5 })
  expect(limits({ maxSessions: 5 })).toEqual({ ...DEFAULT_LIMITS, maxSessions: 5 })
  expect(limits('{"defaultSessionExpirySeconds":[1,2]}').defaultSessionExpirySeconds).toEqual([1, 2])
})

it.each([
  ['{"maxSesions":5}', "maxSesions"],
  ['{"toString":5}', "toString"],
  ['{"__proto__":5}', "__proto__"],
  ['{"maxSessions":"5"}', "maxSessions"],
  ['{"maxSessions":-1}', "maxSessions"],
  ['{"maxSessions":null}', "maxSessions"],
  ['{"maxSessions":[5]}', "maxSessions"],
  ['{"defaultSessionExpirySeconds":5}', "defaultSessionExpirySeconds"],
  ['{"defaultSessionExpirySeconds":[1]}', "defaultSessionExpirySeconds"],
  ['{"defaultSessionExpirySeconds":[1,-2]}', "defaultSessionExpirySeconds"],
])("LIMITS %s is refused by the name of the limit", (text, name) => {
  expect(() => limits(text)).toThrow(`LIMITS: "${name}"`)
})

it.each(["{", "null", "5", "[]", '"maxSessions"'])("LIMITS %s, which is no object, is refused", (text) => {
  expect(() => limits(text)).toThrow("LIMITS")
})
