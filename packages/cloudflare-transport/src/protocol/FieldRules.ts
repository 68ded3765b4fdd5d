/**
 * The rules for the fields of messages, once: a client judges its own arguments by them before it sends anything,
 * and the hub judges by them each request that it receives.
 */
import { Address, AddressPattern, Envelope, PayloadValue, TimeLimit } from "@signal-hub/actor-core/vocabulary"
import { isReserved, isTopic } from "./Address.ts"
import { decodeCursor } from "./Cursor.ts"
import type { HubErrorCode } from "./HubError.ts"
import type { Limits } from "./Limits.ts"
import { negotiate } from "./Version.ts"

/** The reason why a field breaks its rule. */
export interface Violation {
  readonly code: HubErrorCode
  /** Names the field and the rule. */
  readonly message: string
}

/** Limits that rules depend on. A client leaves out those that its hub has not told it: the hub judges by them. */
export type RuleLimits = Partial<
  Pick<Limits, "maxCapabilities" | "maxMetadataSize" | "minTtlSeconds" | "maxTtlSeconds">
>

/** The name of a limit that is one number. */
export type NumericLimit = {
  [name in keyof Limits]: Limits[name] extends number ? name : never
}[keyof Limits]

/** A bound of a rule: a number, or the name of the limit that has it. */
export type Bound = number | keyof RuleLimits

/** Checks that the hub alone makes, beside its limits. */
export interface HubChecks {
  /** Returns true if every codec can write the value. */
  readonly isEncodable: (value: unknown) => boolean
}

/** Judges the value of a field by its name. `A` is the type of the values that keep the rule. */
export interface Rule<A = unknown> {
  /** Returns why the value breaks the rule; `undefined` if it keeps it. Without `hub` a client judges itself. */
  (value: unknown, field: string, limits: RuleLimits, hub?: HubChecks): Violation | undefined
  /** Never set: it carries the type. */
  readonly type?: A
}

const boundOf = (bound: Bound | undefined, limits: RuleLimits): number | undefined =>
  typeof bound === "string" ? limits[bound] : bound

const violates = (message: string, code: HubErrorCode = "invalid_message"): Violation => ({ code, message })

/** A rule for a field that may be absent or null. */
export const optional =
  <A>(rule: Rule<A>): Rule<A | null | undefined> =>
  (value, field, limits, hub) =>
    value === undefined || value === null ? undefined : rule(value, field, limits, hub)

/** A value of any kind. */
export const anything: Rule = () => undefined

/** The address of an actor; a text that is none is `invalid_address`. */
export const address: Rule<Address.Address> = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be an address, as "@(type/name)"`)
  if (Address.isAddress(value)) return undefined
  return violates(`"${field}" is no address: it must be "@(type/name)"`, "invalid_address")
}

/** An address that a session may claim. The hub alone rejects those that are reserved. */
export const claimable: Rule<Address.Address> = (value, field, limits, hub) =>
  address(value, field, limits) ??
  (hub !== undefined && typeof value === "string" && isReserved(value)
    ? violates(`"${field}" is a reserved address`, "forbidden")
    : undefined)

/** A name that can be subscribed to; a text that is none is `invalid_topic`. */
export const topic: Rule<string> = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be a string`)
  if (isTopic(value)) return undefined
  return violates(`"${field}" must be 1 to 256 characters of [A-Za-z0-9/_.:-]`, "invalid_topic")
}

/** A pattern over addresses. */
export const pattern: Rule<string> = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be a pattern over addresses`)
  try {
    AddressPattern.compile(value)
    return undefined
  } catch (error) {
    return violates(`"${field}": ${(error as AddressPattern.InvalidPattern).message}`)
  }
}

/** The type of an application's message inside a request. */
export const innerType: Rule<string> = (value, field) => {
  if (typeof value !== "string" || value.length === 0 || value.length > Envelope.MAX_TYPE_LENGTH) {
    return violates(`"${field}" must be a string of 1 to ${Envelope.MAX_TYPE_LENGTH} characters`)
  }
  return value.startsWith("hub:") ? violates(`"${field}" must not begin with "hub:"`) : undefined
}

/** A string of at most so many characters. */
export const text =
  (max: number): Rule<string> =>
  (value, field) =>
    typeof value === "string" && value.length <= max
      ? undefined
      : violates(`"${field}" must be a string of at most ${max} characters`)

/** True or false, and no value that is taken for either. */
export const flag: Rule<boolean> = (value, field) =>
  typeof value === "boolean" ? undefined : violates(`"${field}" must be true or false`)

/** A whole number from `min`. */
export const count =
  (min: number): Rule<number> =>
  (value, field) =>
    Number.isSafeInteger(value) && (value as number) >= min
      ? undefined
      : violates(`"${field}" must be a whole number from ${min}`)

/** A finite number from `least`, 0 if that limit is not known, and at most `most` if there is such a bound. */
export const number =
  (least: Bound, most?: Bound): Rule<number> =>
  (value, field, limits) => {
    const min = boundOf(least, limits) ?? 0
    const max = boundOf(most, limits)
    return typeof value === "number" && value >= min && value <= (max ?? Number.MAX_VALUE)
      ? undefined
      : violates(
          `"${field}" must be a ${max === undefined ? `finite number from ${min}` : `number from ${min} to ${max}`}`,
        )
  }

/** A number of any size. */
export const anyNumber: Rule<number> = (value, field) =>
  typeof value === "number" ? undefined : violates(`"${field}" must be a number`)

/** A point in time, in milliseconds. */
export const milliseconds: Rule<number> = (value, field) =>
  typeof value === "number" ? undefined : violates(`"${field}" must be a number of milliseconds`)

/** A string of any length. */
export const string: Rule<string> = (value, field) =>
  typeof value === "string" ? undefined : violates(`"${field}" must be a string`)

/** The time limit of an ask, by the rule that references to actors go by. */
export const timeLimit: Rule<number> = (value, field) => {
  const violation = TimeLimit.violation(value, field)
  return violation === undefined ? undefined : violates(violation)
}

/** Tags, each a string of 1 to 256 characters; at most `most` if there is such a bound. */
export const tags =
  (most?: Bound): Rule<ReadonlyArray<string>> =>
  (value, field, limits) => {
    const max = boundOf(most, limits)
    return Array.isArray(value) &&
      value.length <= (max ?? Infinity) &&
      value.every((tag) => typeof tag === "string" && tag.length > 0 && tag.length <= 256)
      ? undefined
      : violates(
          `"${field}" must be ${max === undefined ? "an array of" : `at most ${max}`} strings of 1 to 256 characters`,
        )
  }

/** The deepest level at which answers show metadata: in an entry of a list of a payload, and room for more. */
const SHOWN_LEVEL = 8

/** An object with fields of any name. */
export interface Metadata {
  readonly [key: string]: unknown
}

/** Metadata of a registration or a client: an object, of at most so many bytes of JSON if there is a bound. */
export const metadata =
  (most?: Bound): Rule<Metadata> =>
  (value, field, limits, hub) => {
    if (!Envelope.isPlainObject(value)) return violates(`"${field}" must be an object`)
    const measured = PayloadValue.measure(value, { name: field, level: SHOWN_LEVEL })
    if (measured instanceof PayloadValue.UnsupportedValue) return violates(measured.message)
    const maxBytes = boundOf(most, limits)
    if (maxBytes !== undefined && Envelope.utf8Length(JSON.stringify(value)) > maxBytes) {
      return violates(`"${field}" is larger than ${maxBytes} bytes`)
    }
    // Others are told it in the codec that they have chosen: a value that one codec can't write is told to none.
    return hub === undefined || hub.isEncodable(value)
      ? undefined
      : violates(`"${field}" could not be encoded: give plain data`)
  }

/** The longest cursor, in characters. */
const MAX_CURSOR_LENGTH = 1_024

/** A page's cursor, as an earlier answer gave it: base64, which `decodeCursor` reads. */
export const cursor: Rule<string> = (value, field) =>
  typeof value === "string" && value.length <= MAX_CURSOR_LENGTH && decodeCursor(value) !== undefined
    ? undefined
    : violates(`"${field}" must be one that an earlier answer gave`)

/** The version of the protocol that a client speaks. */
export const version: Rule<string> = (value, field) =>
  negotiate(value) === "malformed" ? violates(`"${field}" must be a version, as "1.0.0"`) : undefined

/** The session that a client had before, to go on with. */
export interface Resume {
  readonly sessionId: string
  readonly resumeToken: string
  /** The last `seq` that the client took; 0 if there was none. */
  readonly lastSeq: number
}

const resumeText = text(128)

/** A session to resume. */
export const resume: Rule<Resume> = (value, field, limits) => {
  if (!Envelope.isPlainObject(value)) return violates(`"${field}" must be an object`)
  const { lastSeq, resumeToken, sessionId } = value
  const isMissing = (sessionId ?? undefined) === undefined || (resumeToken ?? undefined) === undefined
  return (
    optional(resumeText)(sessionId, `${field}.sessionId`, limits) ??
    optional(resumeText)(resumeToken, `${field}.resumeToken`, limits) ??
    (isMissing
      ? violates(`"${field}" must name a "sessionId" and its "resumeToken"`)
      : count(0)(lastSeq, `${field}.lastSeq`, limits))
  )
}

/** One of these texts. */
export const oneOf =
  <const A extends string>(...texts: ReadonlyArray<A>): Rule<A> =>
  (value, field) =>
    texts.some((text) => text === value)
      ? undefined
      : violates(`"${field}" must be one of ${texts.map((text) => `"${text}"`).join(", ")}`)

/** A value that keeps the rule, or null. */
export const nullable =
  <A>(rule: Rule<A>): Rule<A | null> =>
  (value, field, limits, hub) =>
    value === null ? undefined : rule(value, field, limits, hub)

/** An array of values that each keep the rule. */
export const list =
  <A>(rule: Rule<A>): Rule<ReadonlyArray<A>> =>
  (value, field, limits, hub) => {
    if (!Array.isArray(value)) return violates(`"${field}" must be an array`)
    for (const [at, item] of value.entries()) {
      const violation = rule(item, `${field}[${at}]`, limits, hub)
      if (violation !== undefined) return violation
    }
    return undefined
  }

/** An object whose values, under any name, each keep the rule. */
export const valuesBy =
  <A>(rule: Rule<A>): Rule<{ readonly [name: string]: A }> =>
  (value, field, limits, hub) => {
    if (!Envelope.isPlainObject(value)) return violates(`"${field}" must be an object`)
    for (const name in value) {
      const violation = rule(value[name], `${field}.${name}`, limits, hub)
      if (violation !== undefined) return violation
    }
    return undefined
  }

/** True, and nothing else. */
export const yes: Rule<true> = (value, field) =>
  value === true ? undefined : violates(`"${field}" must be true`)
