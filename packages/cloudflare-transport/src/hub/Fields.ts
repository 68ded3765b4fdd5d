/** Reads the fields of a request, judging each. What is wrong is thrown as a `Rejection` that names it. */
import { type Address, AddressPattern, Envelope } from "@signal-hub/actor-core"
import { pack } from "@signal-hub/actor-core/codec/msgpack"
import * as FieldRules from "../protocol/FieldRules.ts"
import { isReserved } from "../protocol/HubMessage.ts"
import type { Limits } from "../protocol/Limits.ts"
import { malformed, Rejection } from "./Rejection.ts"

export type Fields = { readonly [field: string]: unknown }

const NO_FIELDS: Fields = Object.freeze({})

/** The payload as fields; null is none. */
export const fieldsOf = (payload: unknown): Fields => {
  if (payload === null) return NO_FIELDS
  if (!Envelope.isPlainObject(payload)) throw malformed('"payload" must be an object')
  return payload
}

/** Throws what breaks the rule. */
const judge = (rule: FieldRules.Rule, value: unknown, field: string): void => {
  const violation = rule(value, field)
  if (violation !== undefined) throw new Rejection(violation.code, violation.message)
}

/** An address that a client may speak to. */
export const address = (value: unknown, field: string): Address.Address => {
  judge(FieldRules.address, value, field)
  return value as Address.Address
}

/** An address that a client may claim: one that is not reserved. */
export const claimable = (value: unknown, field: string): Address.Address => {
  const claimed = address(value, field)
  if (isReserved(claimed)) throw new Rejection("forbidden", `"${field}" is a reserved address`)
  return claimed
}

export const topic = (value: unknown): string => {
  judge(FieldRules.topic, value, "topic")
  return value as string
}

export const pattern = (value: unknown, field: string): AddressPattern.AddressPattern => {
  judge(FieldRules.pattern, value, field)
  return AddressPattern.compile(value as string)
}

/** The type of an application's message inside a request. */
export const innerType = (value: unknown): string => {
  judge(FieldRules.innerType, value, "type")
  return value as string
}

export const optionalText = (value: unknown, field: string, max: number): string | undefined => {
  judge(FieldRules.optional(FieldRules.text(max)), value, field)
  return (value as string | null | undefined) ?? undefined
}

export const optionalFlag = (value: unknown, field: string): boolean => {
  if (value === undefined || value === null) return false
  judge(FieldRules.flag, value, field)
  return value as boolean
}

const fromZero = FieldRules.count(0)

/** A whole number from 0. */
export const count = (value: unknown, field: string): number => {
  judge(fromZero, value, field)
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
  judge(min === 0 ? fromZero : FieldRules.count(min), value, field)
  return Math.min(value as number, max)
}

/** Tags, each a string of 1 to 256 characters. */
export const tags = (value: unknown, field: string, limits: Limits): ReadonlyArray<string> => {
  judge(FieldRules.optional(FieldRules.tags(limits.maxCapabilities)), value, field)
  return (value as ReadonlyArray<string> | null | undefined) ?? []
}

/** Metadata of a registration or a client: an object within the limit. */
export const metadata = (value: unknown, field: string, limits: Limits): Fields => {
  judge(FieldRules.optional(FieldRules.metadata(limits.maxMetadataSize)), value, field)
  try {
    // Others are told it in the codec that they have chosen: what can't be told to one of them is told to none.
    pack(value)
  } catch {
    throw malformed(`"${field}" could not be encoded: give plain data`)
  }
  return (value as Fields | null | undefined) ?? NO_FIELDS
}

const finite = FieldRules.number(0)

/** A time in seconds, from 0 and finite. */
export const seconds = (value: unknown, field: string): number => {
  judge(finite, value, field)
  return value as number
}

/** A registration's TTL in seconds, or `undefined` where none is asked for. */
export const ttlSeconds = (value: unknown, limits: Limits): number | undefined => {
  const { minTtlSeconds, maxTtlSeconds } = limits
  judge(FieldRules.optional(FieldRules.number(minTtlSeconds, maxTtlSeconds)), value, "ttlSeconds")
  return (value as number | null | undefined) ?? undefined
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
