import { AddressPattern } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import * as Authorization from "../../src/auth/Authorization.ts"
import { readClaims, type TokenPayload } from "../../src/auth/Claims.ts"

const claims = (more: Partial<TokenPayload> = {}) => readClaims({ actorId: "user/ada", ...more })

/** The questions that a claim decides, and claims that say yes to each of them. */
const RIGHTS = [
  ["broadcast", Authorization.mayBroadcast],
  ["list", Authorization.mayList],
  ["metrics", Authorization.mayReadMetrics],
] as const

describe("rights", () => {
  it.each(RIGHTS)("fault 27: %s is had by whose token says so, and by nobody else", (right, may) => {
    expect(may(null)).toBe(true)
    expect(may(claims())).toBe(false)
    expect(may(claims({ capabilities: RIGHTS.map(([name]) => name).filter((name) => name !== right) }))).toBe(
      false,
    )
    expect(may(claims({ capabilities: [right] }))).toBe(true)
  })

  it("a token opens the hubs that it names, or else the default", () => {
    expect(Authorization.mayEnter(null, "any")).toBe(true)
    expect(Authorization.mayEnter(claims(), "default")).toBe(true)
    expect(Authorization.mayEnter(claims(), "other")).toBe(false)
    expect(Authorization.mayEnter(claims({ hubs: ["other"] }), "other")).toBe(true)
    expect(Authorization.mayEnter(claims({ hubs: ["other"] }), "default")).toBe(false)
  })

  it.each([
    ["@(user/ada)", true],
    ["@(user/ada/tab)", true],
    ["@(user/adam)", false],
    ["@(user/bob)", false],
    ["@(room/1)", true],
    ["@(room/1/seat)", false],
  ] as const)("fault 24: %s may be registered: %s", (address, may) => {
    expect(Authorization.mayRegister(claims({ actors: ["@(room/*)"] }), address)).toBe(may)
    expect(Authorization.mayRegister(null, address)).toBe(true)
  })

  it("what may be sent to may be seen, and nothing else", () => {
    for (const may of [Authorization.maySend, Authorization.mayDiscover, Authorization.mayWatch]) {
      expect(may(null, "@(user/bob)")).toBe(true)
      expect(may(claims(), "@(user/bob)")).toBe(true)
      expect(may(claims({ send: ["@(service/**)"] }), "@(user/bob)")).toBe(false)
      expect(may(claims({ send: ["@(service/**)"] }), "@(service/a/b)")).toBe(true)
      expect(may(claims({ send: [] }), "@(user/ada)")).toBe(false)
    }
  })

  it("topics are read and written by the patterns of each", () => {
    const bearer = claims({ publish: ["out/*"], subscribe: ["in/**"] })
    expect(Authorization.mayPublish(bearer, "out/1")).toBe(true)
    expect(Authorization.mayPublish(bearer, "in/1")).toBe(false)
    for (const may of [Authorization.maySubscribe, Authorization.maySeePresence]) {
      expect(may(bearer, "in/1/2")).toBe(true)
      expect(may(bearer, "out/1")).toBe(false)
      expect(may(claims(), "any")).toBe(true)
      expect(may(null, "any")).toBe(true)
    }
  })

  it.each(["*", "**", "@(**)", "@(*/**)", "@(*/*)", "@(***/*/**)"])(
    "discovery by %s, which names nothing, needs the right to list",
    (source) => {
      const pattern = AddressPattern.compile(source)
      expect(Authorization.mayDiscoverBy(claims(), pattern)).toBe(false)
      expect(Authorization.mayDiscoverBy(claims({ capabilities: ["list"] }), pattern)).toBe(true)
      expect(Authorization.mayDiscoverBy(null, pattern)).toBe(true)
    },
  )

  it.each(["@(user/*)", "@(u*/**)", "@(*/ada)", "@(user/ada)"])("discovery by %s does not", (source) => {
    expect(Authorization.mayDiscoverBy(claims(), AddressPattern.compile(source))).toBe(true)
  })
})
