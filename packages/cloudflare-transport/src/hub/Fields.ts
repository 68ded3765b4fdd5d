/** Reads the fields of a request, judging each. What is wrong is thrown as a `Refusal` that names it. */
import { Address, AddressPattern, Envelope } from "@signal-hub/actor-core"
import { isReserved, isTopic } from "../protocol/HubMessage.ts"
import type { Limits } from "../protocol/Limits.ts"
import { malformed, Refusal } from "./Refusal.ts"

export type Fields = { readonly [field: string]: unknown }

const NO_FIELDS: Fields = Object.freeze({})

/** The payload as fields; null is none. */
export const fieldsOf = (payload: unknown): Fields => {
  if (payload === null) return NO_FIELDS
  if (!Envelope.isPlainObject(payload)) throw malformed('"payload" must be an object')
  return payload
}

/** An address that a client may speak to. */
export const address = (value: unknown, field: string): Address.Address => {
  if (typeof value !== "string") throw malformed(`"${field}" must be an address, as "@(type/name)"`)
  if (!Address.isAddress(value)) {
    throw new Refusal("invalid_address", `"${field}" is no address: it must be "@(type/name)"`)
  }
  return value
}

/** An address that a client may claim: one that is not reserved. */
export const claimable = (value: unknown, field: string): Address.Address => {
  const claimed = address(value, field)
  if (isReserved(claimed)) throw new Refusal("forbidden", `"${field}" is a reserved address`)
  return claimed
}

export const topic = (value: unknown): string => {
  if (typeof value !== "string") throw malformed('"topic" must be a string')
  if (!isTopic(value)) {
    throw new Refusal("invalid_topic", '"topic" must be 1 to 256 characters of [A-Za-z0-9/_.:-]')
  }
  return value
}

export const pattern = (value: unknown, field: string): AddressPattern.AddressPattern => {
  if (typeof value !== "string") throw malformed(`"${field}" must be a pattern over addresses`)
  try {
    return AddressPattern.compile(value)
  } catch (error) {
    throw malformed(`"${field}": ${(error as AddressPattern.InvalidPattern).message}`)
  }
}

/** The type of an application's message inside a request. */
export const innerType = (value: unknown): string => {
  if (typeof value !== "string" || value.length === 0 || value.length > Envelope.MAX_TYPE_LENGTH) {
    throw malformed(`"type" must be a string of 1 to ${Envelope.MAX_TYPE_LENGTH} characters`)
  }
  if (value.startsWith("hub:")) throw malformed('"type" must not begin with "hub:"')
  return value
}

export const optionalText = (value: unknown, field: string, max: number): string | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value !== "string" || value.length > max) {
    throw malformed(`"${field}" must be a string of at most ${max} characters`)
  }
  return value
}

export const optionalFlag = (value: unknown, field: string): boolean => {
  if (value === undefined || value === null) return false
  if (typeof value !== "boolean") throw malformed(`"${field}" must be true or false`)
  return value
}

/** A whole number from 0. */
export const count = (value: unknown, field: string): number => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw malformed(`"${field}" must be a whole number from 0`)
  }
  return value as number
}

/** A whole number from `min`, at most `max`: what is above is brought down to it. */
export const optionalCount = (
  value: unknown,
  field: string,
  min: number,
  max: number,
): number | undefined => {
  if (value === undefined || value === null) return undefined
  if (!Number.isSafeInteger(value) || (value as number) < min) {
    throw malformed(`"${field}" must be a whole number from ${min}`)
  }
  return Math.min(value as number, max)
}

/** Tags, each a string of 1 to 256 characters. */
export const tags = (value: unknown, field: string, limits: Limits): ReadonlyArray<string> => {
  if (value === undefined || value === null) return []
  const valid =
    Array.isArray(value) &&
    value.length <= limits.maxCapabilities &&
    value.every((tag) => typeof tag === "string" && tag.length > 0 && tag.length <= 256)
  if (!valid) {
    throw malformed(`"${field}" must be at most ${limits.maxCapabilities} strings of 1 to 256 characters`)
  }
  return value as ReadonlyArray<string>
}

/** Metadata of a registration or a client: an object within the limit. */
export const metadata = (value: unknown, field: string, limits: Limits): Fields => {
  if (value === undefined || value === null) return NO_FIELDS
  if (!Envelope.isPlainObject(value)) throw malformed(`"${field}" must be an object`)
  if (Envelope.utf8Length(JSON.stringify(value)) > limits.maxMetadataSize) {
    throw malformed(`"${field}" is larger than ${limits.maxMetadataSize} bytes`)
  }
  return value
}

/** A registration's TTL in seconds, or `undefined` where none is asked for. */
export const ttlSeconds = (value: unknown, limits: Limits): number | undefined => {
  if (value === undefined || value === null) return undefined
  const { minTtlSeconds, maxTtlSeconds } = limits
  if (typeof value !== "number" || !(value >= minTtlSeconds && value <= maxTtlSeconds)) {
    throw malformed(`"ttlSeconds" must be a number from ${minTtlSeconds} to ${maxTtlSeconds}`)
  }
  return value
}

/** A page's cursor, which holds the last key of the page before. */
export const encodeCursor = (key: string): string => btoa(key)
export const cursor = (value: unknown): string => {
  if (value === undefined || value === null) return ""
  try {
    if (typeof value === "string" && value.length <= 1_024) return atob(value)
  } catch {
    // Not of our making: refused below like any other.
  }
  throw malformed('"cursor" must be one that an earlier answer gave')
}
