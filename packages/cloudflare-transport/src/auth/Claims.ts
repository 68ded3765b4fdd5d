/**
 * What a verified token says of its bearer. Read field by field: a claim that is not of its form makes
 * the whole token none. What may be done with claims is in `Authorization`.
 */
import { type Address, AddressPattern, Envelope } from "@signal-hub/actor-core"
import { isReserved } from "../protocol/HubMessage.ts"
import type { ClaimedRates } from "../session/RateBucket.ts"
import { identityOf, type IdentityTemplate } from "./TokenIdentity.ts"
import { TokenRefused } from "./TokenRefused.ts"

/**
 * The payload of a token, as far as the hub reads it. All may be absent but what its identity is made of. What
 * else it has (`iat`, …) is its issuer's.
 */
export interface TokenPayload {
  /** The identity, as `@(user/ada)` or `user/ada`. Absent: `JWT_IDENTITY` makes it, or `sub` is it. */
  readonly actorId?: string
  /** Whom the issuer means. It is the identity where there is neither `actorId` nor `JWT_IDENTITY`. */
  readonly sub?: string
  /** Of `broadcast`, `list` and `metrics`; others are ignored. Absent: none. */
  readonly capabilities?: ReadonlyArray<string>
  /** Names of the hubs that it opens. Absent: `default` alone. */
  readonly hubs?: ReadonlyArray<string>
  /** Patterns over what it may register beside the identity and what lies below that. Absent: none. */
  readonly actors?: ReadonlyArray<string>
  /** Patterns over the addresses that it may send to and see. Absent: all. */
  readonly send?: ReadonlyArray<string>
  /** Patterns over topics. Absent: all. */
  readonly publish?: ReadonlyArray<string>
  readonly subscribe?: ReadonlyArray<string>
  /** Rates of a trusted service, in place of the deployment's; bursts follow in proportion. Absent: the deployment's. */
  readonly limits?: ClaimedRates
  /** When it expires, in seconds since the epoch. Absent: never. */
  readonly exp?: number
}

type Patterns = ReadonlyArray<AddressPattern.TopicPattern>

export interface Claims {
  readonly identity: Address.Address
  readonly capabilities: ReadonlySet<string>
  readonly hubs: ReadonlyArray<string>
  readonly actors: Patterns
  /** `null`: all. */
  readonly send: Patterns | null
  readonly publish: Patterns | null
  readonly subscribe: Patterns | null
  /** `null`: the deployment's. */
  readonly rates: ClaimedRates | null
  /** Epoch milliseconds; `null`: never. */
  readonly expiresAt: number | null
  /** The same as text, to be kept: ASCII, at most `MAX_CLAIMS_BYTES`. `keptClaims` reads it. */
  readonly text: string
}

/** Most bytes of claims: so many fit into the attachment of a socket, with room for all else there. */
export const MAX_CLAIMS_BYTES = 8_192

/** The last moment that a date can be. */
const END_OF_TIME = 8.64e15

/** The claims of a verified token's payload; `template` is of `JWT_IDENTITY`. Throws `TokenRefused`. */
export const readClaims = (payload: unknown, template?: IdentityTemplate): Claims => {
  if (!Envelope.isPlainObject(payload)) throw invalid("its payload is no object")
  const identity = identityOf(payload, template)
  const { exp } = payload
  if (exp !== undefined && (typeof exp !== "number" || !(exp >= 0))) {
    throw invalid('its "exp" is no number of seconds')
  }
  const capabilities = texts(payload, "capabilities") ?? []
  const hubs = texts(payload, "hubs") ?? ["default"]
  const actors = patterns(payload, "actors", AddressPattern.compile) ?? []
  if (actors.some(({ source }) => isReserved(source))) throw reserved('its "actors" name')
  const send = patterns(payload, "send", AddressPattern.compile)
  const publish = patterns(payload, "publish", AddressPattern.compileTopic)
  const subscribe = patterns(payload, "subscribe", AddressPattern.compileTopic)
  const rates = readRates(payload.limits)
  const kept: TokenPayload = {
    actorId: identity,
    capabilities: capabilities.filter(isCapability),
    hubs: hubs.filter((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name)),
    actors: sources(actors),
    ...(send !== null && { send: sources(send) }),
    ...(publish !== null && { publish: sources(publish) }),
    ...(subscribe !== null && { subscribe: sources(subscribe) }),
    ...(rates !== null && { limits: rates }),
    ...(exp !== undefined && { exp }),
  }
  const text = JSON.stringify(kept)
  if (text.length > MAX_CLAIMS_BYTES) throw invalid(`its claims are larger than ${MAX_CLAIMS_BYTES} bytes`)
  const expiresAt = exp === undefined ? null : Math.floor(exp * 1_000)
  return {
    identity,
    capabilities: new Set(kept.capabilities),
    hubs: kept.hubs!,
    actors,
    send,
    publish,
    subscribe,
    rates,
    expiresAt: expiresAt !== null && expiresAt > END_OF_TIME ? null : expiresAt,
    text,
  }
}

/** The claims that were kept as text. */
export const keptClaims = (text: string): Claims => readClaims(JSON.parse(text))

const isCapability = (name: string): boolean => name === "broadcast" || name === "list" || name === "metrics"

const RATES = ["maxEnvelopesPerSecond", "maxBytesPerSecond"] as const

const readRates = (limits: unknown): ClaimedRates | null => {
  if (limits === undefined) return null
  if (!Envelope.isPlainObject(limits)) throw invalid('its "limits" is no object')
  const claimed = RATES.flatMap((name) => {
    const rate = limits[name]
    if (rate === undefined) return []
    if (typeof rate !== "number" || !Number.isFinite(rate) || rate <= 0) {
      throw invalid(`its "limits.${name}" is no number above 0`)
    }
    return [[name, rate] as const]
  })
  return claimed.length === 0 ? null : Object.fromEntries(claimed)
}

const texts = (payload: { readonly [claim: string]: unknown }, claim: string): Array<string> | undefined => {
  const value = payload[claim]
  if (value === undefined) return undefined
  if (!Array.isArray(value) || !value.every((one) => typeof one === "string")) {
    throw invalid(`its "${claim}" is no list of strings`)
  }
  return value
}

const patterns = <P>(
  payload: { readonly [claim: string]: unknown },
  claim: string,
  compile: (source: string) => P,
): Array<P> | null => {
  try {
    return texts(payload, claim)?.map((source) => compile(source)) ?? null
  } catch (error) {
    if (!(error instanceof AddressPattern.InvalidPattern)) throw error
    throw invalid(`its "${claim}" has what is no pattern: ${error.message}`)
  }
}

const sources = (compiled: Patterns): ReadonlyArray<string> => compiled.map(({ source }) => source)

const invalid = (why: string): TokenRefused =>
  new TokenRefused({ code: "unauthorized", message: `the token is not valid: ${why}` })

const reserved = (what: string): TokenRefused =>
  new TokenRefused({ code: "forbidden", message: `the token is not valid: ${what} a reserved address` })
