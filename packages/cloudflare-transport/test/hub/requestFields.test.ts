import { describe, expect, it } from "vitest"
import { REQUESTS, rowOf } from "../../src/protocol/requests.ts"
import { TestHub } from "../support/TestHub.ts"

type Fields = { readonly [field: string]: unknown }

const ADDRESS_KIND = 'must be an address, as "@(type/name)"'
const ADDRESS_FORM = 'is no address: it must be "@(type/name)"'
const TOPIC_FORM = "must be 1 to 256 characters of [A-Za-z0-9/_.:-]"
const TYPE_LENGTH = "must be a string of 1 to 256 characters"
const TAGS = "must be at most 64 strings of 1 to 256 characters"
const CURSOR = "must be one that an earlier answer gave"
const TTL = "must be a number from 10 to 3600"
const FLAG = "must be true or false"

/** A payload of each request that keeps all its rules. */
const VALID: { readonly [type: string]: Fields } = {
  "hub:heartbeat": { timestamp: 1 },
  "hub:register": { actorAddress: "@(room/1)" },
  "hub:renew": { renewalToken: "none" },
  "hub:discover": { pattern: "*" },
  "hub:send": { to: "@(room/1)", type: "note" },
  "hub:broadcast": { type: "note" },
  "hub:subscribe": { topic: "news" },
  "hub:publish": { topic: "news", type: "note" },
  "hub:presence": { topic: "news" },
  "hub:ack": { bytes: 0 },
}

/** Each rule broken once: the field, its values, and what the hub says of it after the field's name. */
const BROKEN: ReadonlyArray<
  readonly [type: string, field: string, values: ReadonlyArray<unknown>, rule: string, code?: string]
> = [
  ["hub:heartbeat", "timestamp", [undefined, null, "1", [1]], "must be a number of milliseconds"],
  ["hub:disconnect", "reason", [1, "x".repeat(257)], "must be a string of at most 256 characters"],
  ["hub:register", "actorAddress", [undefined, null, 1, ["@(a/b)"]], ADDRESS_KIND],
  ["hub:register", "actorAddress", ["", "@(a)", "@(a/*)"], ADDRESS_FORM, "invalid_address"],
  ["hub:register", "actorAddress", ["@(session/a)", "@(cloudflare/a)"], "is a reserved address", "forbidden"],
  ["hub:register", "capabilities", ["tag", {}, [""], [1], Array.from({ length: 65 }, () => "t")], TAGS],
  ["hub:register", "metadata", [1, "x", []], "must be an object"],
  ["hub:register", "metadata", [{ text: "x".repeat(4_096) }], "is larger than 4096 bytes"],
  ["hub:register", "ttlSeconds", [9, 3_601, -1, "60", [60]], TTL],
  ["hub:unregister", "actorAddress", [1, {}], ADDRESS_KIND],
  ["hub:unregister", "actorAddress", ["room/1"], ADDRESS_FORM, "invalid_address"],
  ["hub:renew", "renewalToken", [undefined, null], "must be the token of a registration"],
  ["hub:renew", "renewalToken", [1, "x".repeat(1_025)], "must be a string of at most 1024 characters"],
  ["hub:renew", "ttlSeconds", [9, 3_601], TTL],
  ["hub:discover", "pattern", [undefined, 1], "must be a pattern over addresses"],
  ["hub:discover", "capabilities", ["tag", [""]], TAGS],
  ["hub:discover", "capability", [1, "x".repeat(257)], "must be a string of at most 256 characters"],
  ["hub:discover", "limit", [0, 1.5, "1"], "must be a whole number from 1"],
  ["hub:discover", "cursor", [1, "%", "x".repeat(1_028)], CURSOR],
  ["hub:list_actors", "limit", [0, 1.5, "1"], "must be a whole number from 1"],
  ["hub:list_actors", "offset", [-1, 1.5, "1"], "must be a whole number from 0"],
  ["hub:send", "type", [undefined, "", 1, "x".repeat(257)], TYPE_LENGTH],
  ["hub:send", "type", ["hub:ack"], 'must not begin with "hub:"'],
  ["hub:send", "to", [1], ADDRESS_KIND],
  ["hub:send", "to", ["room/1"], ADDRESS_FORM, "invalid_address"],
  ["hub:broadcast", "type", [undefined, ""], TYPE_LENGTH],
  ["hub:broadcast", "type", ["hub:ack"], 'must not begin with "hub:"'],
  ["hub:broadcast", "excludeSelf", [1, "true"], FLAG],
  ["hub:broadcast", "metadata.targetCapability", [1], "must be a string of at most 256 characters"],
  ["hub:broadcast", "metadata.targetPattern", [1], "must be a pattern over addresses"],
  ["hub:subscribe", "topic", [undefined, 1], "must be a string"],
  ["hub:subscribe", "topic", ["", "a b", "x".repeat(257)], TOPIC_FORM, "invalid_topic"],
  ["hub:subscribe", "durable", [1], FLAG],
  ["hub:subscribe", "presence", ["yes"], FLAG],
  ["hub:unsubscribe", "subscriptionId", [1, "x".repeat(129)], "must be a string of at most 128 characters"],
  ["hub:unsubscribe", "topic", [undefined], 'or "subscriptionId" must say which subscription'],
  ["hub:unsubscribe", "topic", [null, 1], "must be a string"],
  ["hub:unsubscribe", "topic", ["a b"], TOPIC_FORM, "invalid_topic"],
  ["hub:publish", "topic", [undefined], "must be a string"],
  ["hub:publish", "topic", ["a b"], TOPIC_FORM, "invalid_topic"],
  ["hub:publish", "type", [undefined], TYPE_LENGTH],
  ["hub:watch", "actorAddress", [undefined], ADDRESS_KIND],
  ["hub:watch", "actorAddress", ["x"], ADDRESS_FORM, "invalid_address"],
  ["hub:unwatch", "actorAddress", [undefined], ADDRESS_KIND],
  ["hub:unwatch", "actorAddress", ["x"], ADDRESS_FORM, "invalid_address"],
  ["hub:presence", "topic", [undefined], "must be a string"],
  ["hub:presence", "topic", ["a b"], TOPIC_FORM, "invalid_topic"],
  ["hub:presence", "cursor", [1, "%"], CURSOR],
  ["hub:ack", "bytes", [undefined, null, -1, 1.5, "1"], "must be a whole number from 0"],
  ["hub:ack", "through", [-1, "1"], "must be a whole number from 0"],
  ["hub:ack", "nonce", [1, "x".repeat(65)], "must be a string of at most 64 characters"],
]

/** The same of `hub:connect`, whose fields are in its metadata. */
const BROKEN_CONNECT: typeof BROKEN = [
  ["hub:connect", "protocolVersion", [undefined, 1, "", "one"], 'must be a version, as "1.0.0"'],
  ["hub:connect", "capabilities", ["tag", [""]], TAGS],
  ["hub:connect", "actorIdentity", [1], ADDRESS_KIND],
  ["hub:connect", "actorIdentity", ["x"], ADDRESS_FORM, "invalid_address"],
  ["hub:connect", "actorIdentity", ["@(session/x)"], "is a reserved address", "forbidden"],
  ["hub:connect", "clientMetadata", [1, []], "must be an object"],
  ["hub:connect", "sessionExpirySeconds", [-1, "1"], "must be a finite number from 0"],
  ["hub:connect", "resume", [1], "must be an object"],
  ["hub:connect", "resume", [{}, { sessionId: "a" }], 'must name a "sessionId" and its "resumeToken"'],
  ["hub:connect", "cleanStart", [1], FLAG],
  ["hub:connect", "reclaim", ["yes"], FLAG],
]

const prefixed = (type: string, field: string): string =>
  type === "hub:connect" ? `metadata.${field}` : field

describe("a field that breaks its rule is named, with its rule", () => {
  for (const [type, field, values, rule, code = "invalid_message"] of BROKEN)
    it(`${type}: "${field}" ${rule}`, () => {
      for (const value of values) {
        const client = new TestHub().connect("@(node/a)", { protocolVersion: "1.0.0" })
        const inMetadata = field.startsWith("metadata.")
        const given = { [inMetadata ? field.slice("metadata.".length) : field]: value }
        const payload = { ...VALID[type], ...(inMetadata ? {} : given) }
        const answer = client.request(type, payload, inMetadata ? { metadata: given } : {})
        expect(answer).toMatchObject({ type: "hub:error", payload: { code, details: {} } })
        expect(answer.payload.message).toBe(`"${field}" ${rule}`)
      }
    })

  for (const [type, field, values, rule, code = "invalid_message"] of BROKEN_CONNECT)
    it(`${type}: "${field}" ${rule}`, () => {
      for (const value of values) {
        const client = new TestHub().open()
        const { payload } = client.connect("@(node/a)", { protocolVersion: "1.0.0", [field]: value })
        expect(payload).toMatchObject({ code, message: `"metadata.${field}" ${rule}`, details: {} })
      }
    })

  it("tokens of hub:connect and hub:refresh_token are strings", () => {
    const hub = new TestHub().requireTokens()
    const connected = hub.open().connect(undefined, { authToken: 1 })
    expect(connected.payload.message).toBe('"metadata.authToken" must be a string')
    const client = hub.enter({ sub: "a", actorId: "node/a", exp: 2_000_000_000 })
    expect(client.request("hub:refresh_token", { token: 1 }).payload.message).toBe('"token" must be a string')
    expect(client.request("hub:refresh_token", {}).payload.message).toBe('"token" must be a new token')
  })

  it("no field of the table is left out here", () => {
    const judged = new Set(
      [...BROKEN, ...BROKEN_CONNECT].map(([type, field]) => `${type} ${prefixed(type, field)}`),
    )
    // Any value will do for `data`; the tokens have a test of their own.
    const others = new Set(["hub:connect metadata.authToken", "hub:refresh_token token"])
    const fields = Object.keys(REQUESTS).flatMap((type) => {
      const { metadata, payload } = rowOf(type as keyof typeof REQUESTS)
      const inMetadata = Object.keys(metadata ?? {}).map((field) => `metadata.${field}`)
      return Object.keys(payload ?? {})
        .concat(inMetadata)
        .map((field) => `${type} ${field}`)
    })
    const left = fields.filter(
      (field) => !field.endsWith(" data") && !others.has(field) && !judged.has(field),
    )
    expect(left).toEqual([])
  })
})

describe("a payload", () => {
  it.each(Object.keys(VALID))("of %s that is no object is rejected before its fields", (type) => {
    for (const payload of [1, "x", true, []]) {
      const client = new TestHub().connect("@(node/a)")
      expect(client.request(type, payload).payload.message).toBe('"payload" must be an object')
    }
  })

  it.each(Object.keys(VALID).filter((type) => type !== "hub:ack" && type !== "hub:renew"))(
    "of %s may have fields that no version knows, of any name",
    (type) => {
      const client = new TestHub().connect("@(node/a)")
      client.register("@(room/1)")
      const more = JSON.parse('{"__proto__": {"topic": 1}, "constructor": 1, "later": [1]}') as Fields
      expect(client.request(type, { ...more, ...VALID[type] }).type).toBe(rowOf(type as "hub:send").answer)
    },
  )

  it("of two fields that break their rules the first of the table is named", () => {
    const client = new TestHub().connect("@(node/a)")
    const { payload } = client.request("hub:register", {
      ttlSeconds: 1,
      capabilities: 1,
      actorAddress: "@(a/b)",
    })
    expect(payload.message).toBe(`"capabilities" ${TAGS}`)
  })

  it.each([
    [
      "hub:discover",
      { pattern: "*", limit: 0 },
      'to discover all needs the right "list": name what is looked for',
    ],
    ["hub:presence", { topic: "news", cursor: 1 }, 'the token does not allow to see who is on "news"'],
    ["hub:list_actors", 1, 'listing needs the right "list"'],
    ["hub:broadcast", 1, 'broadcasting needs the right "broadcast"'],
  ])("of %s is judged further once the token allows what it asks for", (type, payload, message) => {
    const hub = new TestHub().requireTokens()
    const client = hub.enter({ sub: "a", actorId: "node/a", exp: 2_000_000_000, subscribe: [] })
    expect(client.request(type, payload).payload).toMatchObject({ code: "forbidden", message })
  })
})
