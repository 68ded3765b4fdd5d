/** Hostile frames by seed: what is sent, and whether a typed error must come back for it. */
import { Packr } from "msgpackr"
import { envelope } from "../support/RawClient.ts"

export interface Case {
  /** What it is, to find it again. */
  readonly name: string
  readonly frame: string | Uint8Array
  /** `error`: a typed error must answer it. `any`: it may be taken, or refused, or be silence. */
  readonly expected: "error" | "any"
}

/** Numbers in [0, 1) from a seed: mulberry32, public domain, by Tommy Ettinger. */
export const randomBySeed = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** For each field of an envelope, values that it must not have. */
const WRONG: { readonly [field: string]: ReadonlyArray<unknown> } = {
  id: [1, null, "", "x".repeat(129), {}, [], true],
  from: [1, {}, [], true],
  to: [
    1,
    null,
    "",
    "nobody",
    "@()",
    "@(one)",
    "@(a//b)",
    "@(a/../b)",
    "@(a/b",
    {},
    [],
    `@(a/${"b".repeat(101)})`,
  ],
  type: [1, null, "", "t".repeat(257), {}, []],
  pattern: [1, null, "", "shout", {}, []],
  correlationId: [1, "", {}, [], "c".repeat(129)],
  timestamp: ["now", null, {}, [], true],
  metadata: [1, "m", [], { big: "m".repeat(4_096) }],
  ttl: [-1, "soon", {}, [], true],
  signature: [1, {}, []],
  seq: [0, -1, 1.5, "1", {}],
}

const REQUESTS: ReadonlyArray<string> = [
  "connect, heartbeat, register, unregister, renew, discover, list_actors, send, broadcast, subscribe",
  "unsubscribe, publish, watch, unwatch, presence, queue_stats, metrics, refresh_token, nothing, __proto__, constructor",
].flatMap((names) => names.split(", "))

const FIELDS = "actorAddress topic type data pattern limit offset cursor to ttlSeconds renewalToken".split(
  " ",
)

/** Keys that an encoder, an `await` or an assignment may take for more than data. */
const HOSTILE_KEYS = [
  "toJSON",
  "constructor",
  "then",
  "__proto__",
  "prototype",
  "hasOwnProperty",
  "toString",
  "valueOf",
  "length",
  "buffer",
  "byteLength",
  "map",
]

/** Makes values of such keys, several in each object, in one another. */
export const hostileValues = (random: () => number): (() => { readonly [key: string]: unknown }) => {
  const below = (n: number): number => Math.floor(random() * n)
  const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const leaf = (): unknown => pick([null, true, 1, -0.5, 1e300, "", "text", "then", [], {}])
  const value = (depth: number): unknown => {
    const kind = below(depth > 3 ? 1 : 4)
    if (kind === 0) return leaf()
    if (kind === 1) return Array.from({ length: below(3) }, () => value(depth + 1))
    return object(depth + 1)
  }
  const object = (depth: number): { readonly [key: string]: unknown } =>
    Object.fromEntries(Array.from({ length: 1 + below(4) }, () => [pick(HOSTILE_KEYS), value(depth)]))
  return () => object(0)
}

/** The frames of a seed, without end. */
export function* casesOf(random: () => number): Generator<Case> {
  const hostile = hostileValues(random)
  const below = (n: number): number => Math.floor(random() * n)
  const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => below(256))
  const text = (n: number): string =>
    Array.from({ length: n }, () => String.fromCharCode(32 + below(95))).join("")
  const value = (depth = 0): unknown =>
    pick<() => unknown>([
      () => null,
      () => below(1e9) - 5e8,
      () => random() * 1e308,
      () => text(below(40)),
      () => random() < 0.5,
      () => (depth > 3 ? [] : Array.from({ length: below(4) }, () => value(depth + 1))),
      () => (depth > 3 ? {} : { ...hostile(), [text(3)]: value(depth + 1) }),
    ])()

  const kinds: ReadonlyArray<() => Case> = [
    () => {
      const frame = bytes(2 + below(200))
      // As msgpack a list of ten or more: so many malformed envelopes in a row close the socket, as they must.
      if ((frame[0]! >= 0x9a && frame[0]! <= 0x9f) || frame[0] === 0xdc || frame[0] === 0xdd) frame[0] = 0xc1
      return { name: "random bytes", frame, expected: "any" }
    },
    () => ({ name: "random text", frame: `~${text(below(200))}`, expected: "error" }),
    () => ({
      name: "cut off",
      frame: JSON.stringify(envelope({ type: "x" })).slice(0, -1 - below(50)),
      expected: "error",
    }),
    () => {
      const field = pick(Object.keys(WRONG))
      const wrong = pick(WRONG[field]!)
      // A tell of 0.x to what is no address is a dead letter.
      const pattern = field === "to" ? "ask" : "tell"
      const right = envelope({ type: "x", to: "@(fuzz/nobody)", pattern })
      const frame = JSON.stringify({ ...right, [field]: wrong })
      return { name: `wrong ${field}: ${JSON.stringify(wrong).slice(0, 40)}`, frame, expected: "error" }
    },
    () => {
      const field = pick(["id", "to", "type", "pattern", "timestamp"])
      const frame = JSON.stringify({ ...envelope({ type: "x", to: "@(fuzz/nobody)" }), [field]: undefined })
      return { name: `without ${field}`, frame, expected: "error" }
    },
    () => ({
      name: "no envelope",
      frame: JSON.stringify([value(), value()].slice(below(2))),
      expected: "any",
    }),
    () => {
      const type = `hub:${pick(REQUESTS)}`
      const payload = pick([value(), Object.fromEntries(FIELDS.map((field) => [field, value()]))])
      const frame = JSON.stringify(
        envelope({ type, pattern: "ask", payload, metadata: pick([hostile(), { [text(3)]: value() }]) }),
      )
      return { name: `${type} with anything`, frame, expected: "any" }
    },
    () => {
      const type = pick(["hub:send", "hub:publish", "hub:register", "hub:broadcast", "x"])
      const payload =
        type === "x"
          ? hostile()
          : {
              topic: "fuzz",
              type: "x",
              to: "@(fuzz/nobody)",
              actorAddress: `@(fuzz/a${below(50)})`,
              data: hostile(),
              metadata: hostile(),
            }
      const to = type === "x" ? { to: "@(fuzz/nobody)" } : {}
      const pattern = pick(["ask", "tell"])
      const frame = JSON.stringify(envelope({ type, ...to, pattern, payload, metadata: hostile() }))
      return { name: `${type} with hostile keys`, frame, expected: "any" }
    },
    () => ({
      name: "polluting keys",
      frame: `{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},${JSON.stringify(
        envelope({ type: "x", to: "@(fuzz/nobody)", pattern: "ask" }),
      ).slice(1, -1)},"payload":{"__proto__":{"polluted":1}},"metadata":{"__proto__":{"polluted":1}}}`,
      expected: "error",
    }),
    () => ({
      name: "nested 129 deep",
      frame: JSON.stringify(envelope({ type: "x", payload: "P" })).replace(
        '"P"',
        `${"[".repeat(129)}${"]".repeat(129)}`,
      ),
      expected: "error",
    }),
    () => ({
      name: "a hub:* type for an actor",
      frame: JSON.stringify(
        envelope({ type: `hub:${text(5).replaceAll(/["\\]/g, "")}`, to: "@(fuzz/nobody)" }),
      ),
      expected: "error",
    }),
  ]
  for (;;) yield pick(kinds)()
}

/** Frames that are large: a few of each are enough. */
export const LARGE: ReadonlyArray<Case> = [
  { name: "200,000 levels of arrays", frame: "[".repeat(200_000) + "]".repeat(200_000), expected: "error" },
  {
    name: "200,000 levels in a payload",
    frame: JSON.stringify(envelope({ type: "x", payload: "P" })).replace(
      '"P"',
      '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000),
    ),
    expected: "error",
  },
  { name: "larger than the limit", frame: "x".repeat(1_048_577), expected: "error" },
  {
    name: "larger than the limit in bytes, not in characters",
    frame: JSON.stringify(envelope({ type: "x", payload: "ü".repeat(600_000) })),
    expected: "error",
  },
  {
    name: "a huge string",
    frame: JSON.stringify(
      envelope({ type: "x", pattern: "ask", to: "@(fuzz/nobody)", payload: "x".repeat(900_000) }),
    ),
    expected: "error",
  },
]

const packr = new Packr({ useRecords: false, useToJSON: false })

/** The same case for a msgpack socket: what is JSON is packed by position, the rest goes as it is. */
export const asMsgPack = ({ name, frame, expected }: Case): Case => {
  if (typeof frame !== "string") return { name, frame, expected }
  let decoded: unknown
  try {
    decoded = JSON.parse(frame)
  } catch {
    return { name, frame, expected: "error" }
  }
  const batch = Array.isArray(decoded) ? decoded : [decoded]
  const positional = batch.map((e) => {
    if (typeof e !== "object" || e === null || Array.isArray(e)) return e
    const pattern = e.pattern === "ask" ? 1 : e.pattern === "tell" ? 0 : (e.pattern ?? null)
    const fields = [e.id, e.from, e.to, e.type, pattern, e.timestamp, e.payload, e.correlationId, e.metadata]
    return [...fields, e.ttl, e.signature, e.seq].map((field) => field ?? null)
  })
  return { name, frame: packr.pack(positional), expected: name.startsWith("wrong") ? "any" : expected }
}
