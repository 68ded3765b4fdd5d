import { describe, expect, it } from "vitest"
import { keptClaims, MAX_CLAIMS_BYTES, readClaims } from "../../src/auth/Claims.ts"
import { sameSecret } from "../../src/auth/SecretText.ts"
import { TokenRefused } from "../../src/auth/TokenRefused.ts"

const refusal = (payload: unknown): TokenRefused => {
  try {
    readClaims(payload)
  } catch (error) {
    if (error instanceof TokenRefused) return error
    throw error
  }
  throw new Error("the payload was accepted")
}

describe("claims", () => {
  it("name the identity, with or without @( )", () => {
    expect(readClaims({ actorId: "user/ada" }).identity).toBe("@(user/ada)")
    expect(readClaims({ actorId: "@(user/ada/tab)" }).identity).toBe("@(user/ada/tab)")
  })

  it("that are absent grant no capability, no hub but the default, no address but one's own; all else", () => {
    expect(readClaims({ actorId: "user/ada" })).toMatchObject({
      capabilities: new Set(),
      hubs: ["default"],
      actors: [],
      send: null,
      publish: null,
      subscribe: null,
      expiresAt: null,
    })
  })

  it("of no patterns at all grant nothing", () => {
    expect(readClaims({ actorId: "user/ada", send: [], publish: [], subscribe: [], hubs: [] })).toMatchObject(
      { send: [], publish: [], subscribe: [], hubs: [] },
    )
  })

  it("of rates are kept; what is no rate makes the token none", () => {
    const limits = { maxEnvelopesPerSecond: 2_000, maxBytesPerSecond: 1e9, more: true }
    const claims = readClaims({ actorId: "user/ada", limits })
    expect(claims.rates).toEqual({ maxEnvelopesPerSecond: 2_000, maxBytesPerSecond: 1e9 })
    expect(keptClaims(claims.text).rates).toEqual(claims.rates)
    expect(readClaims({ actorId: "user/ada", limits: {} }).rates).toBeNull()
    expect(readClaims({ actorId: "user/ada" }).rates).toBeNull()
    for (const wrong of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "2000", null]) {
      expect(refusal({ actorId: "user/ada", limits: { maxBytesPerSecond: wrong } }).code).toBe("unauthorized")
    }
    for (const wrong of [5, "x", [], null]) {
      expect(refusal({ actorId: "user/ada", limits: wrong }).code).toBe("unauthorized")
    }
  })

  it("expire by the millisecond, and what is beyond all dates never does", () => {
    expect(readClaims({ actorId: "user/ada", exp: 1_800_000_000.5 }).expiresAt).toBe(1_800_000_000_500)
    expect(readClaims({ actorId: "user/ada", exp: 1e300 }).expiresAt).toBeNull()
  })

  it("are the same after they were kept", () => {
    const claims = readClaims({
      sub: "1",
      actorId: "user/ada",
      capabilities: ["broadcast", "other"],
      hubs: ["a", "no hub"],
      actors: ["@(room/*)"],
      send: ["*", "@(user/**)"],
      publish: ["news/**"],
      subscribe: ["news/*"],
      exp: 1_800_000_000,
    })
    expect(claims).toMatchObject({ capabilities: new Set(["broadcast"]), hubs: ["a"] })
    const kept = keptClaims(claims.text)
    expect(kept.text).toBe(claims.text)
    expect(JSON.stringify(kept)).toBe(JSON.stringify(claims))
    expect(kept.actors[0]!.matches("@(room/1)")).toBe(true)
    expect(kept.subscribe![0]!.matches("news/1/2")).toBe(false)
  })

  it.each([
    null,
    [],
    "user/ada",
    {},
    { actorId: 1 },
    { actorId: "" },
    { actorId: "ada" },
    { actorId: "@(user/ada" },
    { actorId: "user/ä" },
    { actorId: "user/*" },
    { actorId: "user/ada", exp: "1800000000" },
    { actorId: "user/ada", exp: Number.NaN },
    { actorId: "user/ada", exp: -1 },
    { actorId: "user/ada", capabilities: "broadcast" },
    { actorId: "user/ada", capabilities: { broadcast: true } },
    { actorId: "user/ada", hubs: [1] },
    { actorId: "user/ada", hubs: "default" },
    { actorId: "user/ada", actors: ["room"] },
    { actorId: "user/ada", send: null },
    { actorId: "user/ada", send: ["@(a/(b))"] },
    { actorId: "user/ada", publish: ["a b"] },
    { actorId: "user/ada", subscribe: [["a"]] },
    { actorId: "user/ada", send: ["*".repeat(257)] },
  ])("%j are none", (payload) => {
    expect(refusal(payload).code).toBe("unauthorized")
  })

  it.each([
    { actorId: "cloudflare/signal-hub" },
    { actorId: "@(cloudflare/signal-hub)" },
    { actorId: "session/s-1" },
    { actorId: "user/ada", actors: ["@(cloudflare/**)"] },
    { actorId: "user/ada", actors: ["@(session/*)"] },
  ])("fault 24: %j, which name a reserved address, are forbidden", (payload) => {
    expect(refusal(payload).code).toBe("forbidden")
  })

  it("fault 4: are bounded, so that they fit into an attachment", () => {
    const hubs = (count: number) => Array.from({ length: count }, (_, i) => `hub-${i}`.padEnd(60, "x"))
    const most = readClaims({ actorId: "user/ada", hubs: hubs(128) })
    expect(most.text.length).toBeLessThanOrEqual(MAX_CLAIMS_BYTES)
    expect(most.text).toMatch(/^[\x20-\x7e]*$/)
    expect(refusal({ actorId: "user/ada", hubs: hubs(130) }).message).toContain("8192 bytes")
  })
})

describe("a secret", () => {
  it("is the same only as itself", () => {
    expect(sameSecret("abc", "abc")).toBe(true)
    for (const other of ["", "ab", "abd", "abcabc", "xbc"]) {
      expect(sameSecret("abc", other)).toBe(false)
      expect(sameSecret(other, "abc")).toBe(false)
    }
  })
})
