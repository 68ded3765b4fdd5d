import { describe, expect, it } from "vitest"
import {
  BRIDGE_PING,
  bridgePong,
  CLOSE_CODES,
  CloseCode,
  closeCodeToEcho,
  DEFAULT_LIMITS,
  errorEnvelope,
  HUB_ADDRESS,
  HUB_ERRORS,
  hubEnvelope,
  isReserved,
  isTopic,
  negotiate,
  PING,
  PONG,
  SUPPORTED_VERSIONS,
  verdictOf,
} from "../../src/protocol/index.ts"

describe("heartbeat", () => {
  it("fault 2: the ping and the pong are the exact bytes that clients send and wait for", () => {
    const bytes = (text: string) => new TextEncoder().encode(text)
    expect(bytes(PING)).toEqual(bytes('{"type":"ping"}'))
    expect(bytes(PONG)).toEqual(bytes('{"type":"pong"}'))
    expect(PING).toBe(JSON.stringify({ type: "ping" }))
  })

  it("the bridge's form tells the time", () => {
    expect(BRIDGE_PING).toBe('{"type":"PING"}')
    expect(JSON.parse(bridgePong(42))).toEqual({ type: "PONG", timestamp: 42 })
    expect(JSON.parse(bridgePong(42, 'a"b'))).toEqual({ type: "PONG", timestamp: 42, id: 'a"b' })
  })
})

describe("close codes", () => {
  it.each([
    [1000, "reconnect"],
    [1001, "reconnect"],
    [1005, "reconnect"],
    [1006, "reconnect"],
    [1009, "reconnect"],
    [1011, "reconnect"],
    [1012, "reconnect"],
    [4400, "stay-away"],
    [4401, "refresh-token"],
    [4403, "stay-away"],
    [4408, "reconnect"],
    [4409, "superseded"],
    [4412, "resync"],
    [4413, "reconnect"],
    [4426, "stay-away"],
    [4429, "retry-after"],
    [4503, "reconnect"],
  ] as const)("after %i a client's verdict is %s", (code, verdict) => {
    expect(verdictOf(code)).toBe(verdict)
  })

  it("fault 54: a goodbye changes the verdict on 1000, and on nothing else", () => {
    expect(verdictOf(1000, true)).toBe("stay-away")
    for (const code of [...Object.keys(CLOSE_CODES).map(Number), 1013, 3000, 4499]) {
      if (code !== 1000) expect(verdictOf(code, true)).toBe(verdictOf(code))
    }
  })

  it("every code has a verdict, and there is none beside the table", () => {
    expect(Object.values(CloseCode).map(String).toSorted()).toEqual(Object.keys(CLOSE_CODES).toSorted())
  })

  it("an unknown 44xx is a newer server's refusal, any other unknown code a lost connection", () => {
    expect(verdictOf(4499)).toBe("stay-away")
    expect(verdictOf(4500)).toBe("reconnect")
    expect(verdictOf(1013)).toBe("reconnect")
    expect(verdictOf(3000)).toBe("reconnect")
  })

  it.each([0, 999, 1001, 1004, 1005, 1006, 1011, 1012, 1015, 2999, 5000])(
    "a peer's close %i, which may not be sent, is answered 1000",
    (code) => expect(closeCodeToEcho(code)).toBe(1000),
  )

  it.each([1000, 3000, 4409, 4999])("a peer's close %i is answered by itself", (code) =>
    expect(closeCodeToEcho(code)).toBe(code),
  )
})

describe("versions", () => {
  it.each([
    ["0.1.0", 0],
    ["0.9", 0],
    ["1", 1],
    ["1.0", 1],
    ["1.0.0", 1],
    ["1.7.3", 1],
    ["1.0.0-rc.1", 1],
    ["1.0.0+build.5", 1],
    ["2.0.0", "unsupported"],
    ["10.0.0", "unsupported"],
    ["", "malformed"],
    ["v1.0.0", "malformed"],
    ["1.0.0.0", "malformed"],
    [" 1.0.0", "malformed"],
    ["1..0", "malformed"],
    ["-1", "malformed"],
    ["1".repeat(65), "malformed"],
    [1, "malformed"],
    [null, "malformed"],
    [undefined, "malformed"],
    [["1.0.0"], "malformed"],
  ])("%j negotiates %j", (version, outcome) => {
    expect(negotiate(version)).toBe(outcome)
  })

  it("serves every version that it tells", () => {
    expect(SUPPORTED_VERSIONS.map(negotiate)).toEqual([0, 1])
  })
})

describe("error envelopes", () => {
  const to = "@(node/a)" as const

  it("say what to do about each code", () => {
    for (const [code, kind] of Object.entries(HUB_ERRORS)) {
      expect(kind.resolution, code).not.toBe("")
      expect(typeof kind.retryable, code).toBe("boolean")
    }
  })

  it("are hub:error for every code to 0.x and to who has not connected", () => {
    for (const major of [0, null] as const) {
      const envelope = errorEnvelope(major, to, "rate_limited", "too fast", 7, "m1", { retryAfterMs: 500 })
      expect(envelope).toMatchObject({
        type: "hub:error",
        from: HUB_ADDRESS,
        to,
        pattern: "tell",
        correlationId: "m1",
        timestamp: 7,
        payload: {
          code: "rate_limited",
          message: "too fast",
          retryable: true,
          details: { retryAfterMs: 500 },
        },
      })
    }
  })

  it.each(["unauthorized", "rate_limited", "version_mismatch", "message_too_large"] as const)(
    "%s is a type of its own to 1.0, with its fields in the payload",
    (code) => {
      expect(errorEnvelope(1, to, code, "no", 7, null, { maxSize: 3 })).toMatchObject({
        type: `hub:${code}`,
        payload: { message: "no", maxSize: 3 },
      })
    },
  )

  it("other codes are hub:error to 1.0 too", () => {
    expect(errorEnvelope(1, to, "timeout", "late", 7, "m1").type).toBe("hub:error")
  })
})

describe("names", () => {
  it("envelopes of the hub have an id of their own each", () => {
    const ids = Array.from({ length: 1_000 }, () => hubEnvelope("hub:x", "@(node/a)", null, 0).id)
    expect(new Set(ids).size).toBe(1_000)
  })

  it.each(["news", "a/b_c.d:e-f", "A9", "x".repeat(256)])("%s is a topic", (topic) =>
    expect(isTopic(topic)).toBe(true),
  )
  it.each(["", "x".repeat(257), "a b", "a*", "ä", 5, null, "a\n"])("%j is no topic", (topic) =>
    expect(isTopic(topic)).toBe(false),
  )

  it("addresses of the hub and of sessions are reserved, and what only looks like them is not", () => {
    expect(isReserved("@(cloudflare/signal-hub)")).toBe(true)
    expect(isReserved("@(session/x)")).toBe(true)
    expect(isReserved("@(sessions/x)")).toBe(false)
    expect(isReserved("@(my/session/x)")).toBe(false)
  })
})

it("the limits that the protocol names are the defaults", () => {
  expect(DEFAULT_LIMITS).toMatchObject({
    maxMessageSize: 1_048_576,
    heartbeatInterval: 25_000,
    sweepInterval: 60_000,
    connectTimeout: 5_000,
    maxConnectFailures: 3,
    maxStrikes: 10,
    maxSessions: 10_000,
    maxUnconnectedSockets: 256,
    maxClosedSockets: 1_024,
    maxRegistrations: 50_000,
    maxAddressesPerSession: 1_000,
    maxSubscriptionsPerSession: 1_000,
    maxAsksPerSession: 1_000,
    maxCapabilities: 64,
    maxMetadataSize: 4_096,
    maxPageSize: 100,
    defaultTtlSeconds: 300,
    minTtlSeconds: 10,
    maxTtlSeconds: 3_600,
    maxSessionExpirySeconds: 3_600,
    defaultSessionExpirySeconds: [0, 60],
    defaultAskTimeout: 30_000,
    broadcastSlice: 1_000,
    durableSubscriptionFor: 7 * 24 * 3_600_000,
    identityKeptFor: 7 * 24 * 3_600_000,
    maxDeadLetters: 1_000,
  })
})
