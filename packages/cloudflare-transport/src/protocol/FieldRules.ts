/**
 * The rules for the fields of requests, once: a client judges by them what it is given before it sends it,
 * and the hub judges by them what it has received.
 */
import { Address, AddressPattern, Envelope, PayloadValue, TimeLimit } from "@signal-hub/actor-core/vocabulary"
import type { HubErrorCode } from "./HubError.ts"
import { isTopic, type HubRequestType } from "./HubMessage.ts"
import type { Limits } from "./Limits.ts"

/** Why a field breaks its rule. */
export interface Violation {
  readonly code: HubErrorCode
  /** Names the field and the rule. */
  readonly message: string
}

/** Judges the value of the field with this name; `undefined` where it keeps the rule. */
export type Rule = (value: unknown, field: string) => Violation | undefined

const violates = (message: string, code: HubErrorCode = "invalid_message"): Violation => ({ code, message })

/** A rule for a field that may be absent or null. */
export const optional =
  (rule: Rule): Rule =>
  (value, field) =>
    value === undefined || value === null ? undefined : rule(value, field)

/** An address. */
export const address: Rule = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be an address, as "@(type/name)"`)
  if (Address.isAddress(value)) return undefined
  return violates(`"${field}" is no address: it must be "@(type/name)"`, "invalid_address")
}

/** A topic. */
export const topic: Rule = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be a string`)
  if (isTopic(value)) return undefined
  return violates(`"${field}" must be 1 to 256 characters of [A-Za-z0-9/_.:-]`, "invalid_topic")
}

/** A pattern over addresses. */
export const pattern: Rule = (value, field) => {
  if (typeof value !== "string") return violates(`"${field}" must be a pattern over addresses`)
  try {
    AddressPattern.compile(value)
    return undefined
  } catch (error) {
    return violates(`"${field}": ${(error as AddressPattern.InvalidPattern).message}`)
  }
}

/** The type of an application's message inside a request. */
export const innerType: Rule = (value, field) => {
  if (typeof value !== "string" || value.length === 0 || value.length > Envelope.MAX_TYPE_LENGTH) {
    return violates(`"${field}" must be a string of 1 to ${Envelope.MAX_TYPE_LENGTH} characters`)
  }
  return value.startsWith("hub:") ? violates(`"${field}" must not begin with "hub:"`) : undefined
}

/** A string of at most so many characters. */
export const text =
  (max: number): Rule =>
  (value, field) =>
    typeof value === "string" && value.length <= max
      ? undefined
      : violates(`"${field}" must be a string of at most ${max} characters`)

/** A boolean. */
export const flag: Rule = (value, field) =>
  typeof value === "boolean" ? undefined : violates(`"${field}" must be true or false`)

/** A whole number from `min`. */
export const count =
  (min: number): Rule =>
  (value, field) =>
    Number.isSafeInteger(value) && (value as number) >= min
      ? undefined
      : violates(`"${field}" must be a whole number from ${min}`)

/** A finite number from `min`, at most `max` where there is one. */
export const number =
  (min: number, max?: number): Rule =>
  (value, field) =>
    typeof value === "number" && value >= min && value <= (max ?? Number.MAX_VALUE)
      ? undefined
      : violates(
          `"${field}" must be a ${max === undefined ? `finite number from ${min}` : `number from ${min} to ${max}`}`,
        )

/** The time limit of an ask, by the rule that references to actors go by. */
export const timeLimit: Rule = (value, field) => {
  const violation = TimeLimit.violation(value, field)
  return violation === undefined ? undefined : violates(violation)
}

/** Tags, each a string of 1 to 256 characters; at most `max` where there is a limit. */
export const tags =
  (max?: number): Rule =>
  (value, field) =>
    Array.isArray(value) &&
    value.length <= (max ?? Infinity) &&
    value.every((tag) => typeof tag === "string" && tag.length > 0 && tag.length <= 256)
      ? undefined
      : violates(
          `"${field}" must be ${max === undefined ? "an array of" : `at most ${max}`} strings of 1 to 256 characters`,
        )

/** The deepest level at which answers show metadata: in an entry of a list of a payload, and room for more. */
const SHOWN_LEVEL = 8

/** Metadata of a registration or a client: an object, of at most so many bytes of JSON where there is a limit. */
export const metadata =
  (maxBytes?: number): Rule =>
  (value, field) => {
    if (!Envelope.isPlainObject(value)) return violates(`"${field}" must be an object`)
    const measured = PayloadValue.measure(value, { name: field, level: SHOWN_LEVEL })
    if (measured instanceof PayloadValue.UnsupportedValue) return violates(measured.message)
    return maxBytes !== undefined && Envelope.utf8Length(JSON.stringify(value)) > maxBytes
      ? violates(`"${field}" is larger than ${maxBytes} bytes`)
      : undefined
  }

/** The limits that rules depend on. Those that are not known are the hub's to judge by. */
export type RuleLimits = Partial<
  Pick<Limits, "maxCapabilities" | "maxMetadataSize" | "minTtlSeconds" | "maxTtlSeconds">
>

const cursor = optional(text(1_024))
const actorAddress = address
const tagsOf = ({ maxCapabilities }: RuleLimits): Rule => optional(tags(maxCapabilities))

/** The rules for the fields of each request's payload. */
const REQUEST_RULES: {
  readonly [type in HubRequestType]?: (limits: RuleLimits) => { readonly [field: string]: Rule }
} = {
  "hub:register": (limits) => ({
    actorAddress,
    capabilities: tagsOf(limits),
    metadata: optional(metadata(limits.maxMetadataSize)),
    ttlSeconds: optional(number(limits.minTtlSeconds ?? 0, limits.maxTtlSeconds)),
  }),
  "hub:unregister": () => ({ actorAddress: optional(address) }),
  "hub:discover": (limits) => ({
    pattern,
    capability: optional(text(256)),
    capabilities: tagsOf(limits),
    limit: optional(count(1)),
    cursor,
  }),
  "hub:list_actors": () => ({ offset: optional(count(0)), limit: optional(count(1)) }),
  "hub:send": () => ({ to: optional(address), type: innerType }),
  "hub:broadcast": () => ({ type: innerType, excludeSelf: optional(flag) }),
  "hub:subscribe": () => ({ topic, durable: optional(flag), presence: optional(flag) }),
  "hub:publish": () => ({ topic, type: innerType }),
  "hub:watch": () => ({ actorAddress }),
  "hub:unwatch": () => ({ actorAddress }),
  "hub:presence": () => ({ topic, cursor }),
}

/** The rules for the metadata of a request. */
const METADATA_RULES: { readonly [type: string]: { readonly [field: string]: Rule } } = {
  "hub:broadcast": { targetCapability: optional(text(256)), targetPattern: optional(pattern) },
}

/** The first rule that the request breaks; `undefined` where it keeps them all, or is no request with rules. */
export const violationOfRequest = (
  { metadata, payload, type }: Pick<Envelope.Envelope, "metadata" | "payload" | "type">,
  limits: RuleLimits,
): Violation | undefined => {
  if (!Object.hasOwn(REQUEST_RULES, type)) return undefined
  const rules = REQUEST_RULES[type as HubRequestType]!(limits)
  if (payload !== null && !Envelope.isPlainObject(payload)) return violates('"payload" must be an object')
  for (const field in rules) {
    const violation = rules[field]!(payload?.[field], field)
    if (violation !== undefined) return violation
  }
  for (const field in METADATA_RULES[type]) {
    const violation = METADATA_RULES[type][field]!(metadata[field], `metadata.${field}`)
    if (violation !== undefined) return violation
  }
  return undefined
}
