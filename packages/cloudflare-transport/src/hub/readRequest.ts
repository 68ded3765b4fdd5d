/**
 * Reads the fields of messages to the hub by the table of requests. A field that breaks its rule is thrown as a
 * `Rejection` that names it.
 */
import { Envelope } from "@signal-hub/actor-core"
import { pack } from "@signal-hub/actor-core/codec/msgpack"
import type { Fields, Taken } from "../protocol/Field.ts"
import type { HubChecks, Metadata, Rule, RuleLimits } from "../protocol/FieldRules.ts"
import type { Limits } from "../protocol/Limits.ts"
import { type MessageToHub, type MetadataFields, type PayloadFields, rowOf } from "../protocol/requests.ts"
import type { ProtocolMajor } from "../protocol/Version.ts"
import { malformed, Rejection } from "./Rejection.ts"

/** A message to be read, with all that its defaults and bounds depend on. */
export interface Source {
  readonly envelope: Envelope.Envelope
  readonly hub: { readonly port: { readonly limits: Limits } }
  readonly session: { readonly major: ProtocolMajor }
}

/** Stands for the session of a connection that has none yet. */
export const NO_SESSION: Source["session"] = { major: 0 }

const NOTHING: Metadata = Object.freeze({})

const HUB_CHECKS: HubChecks = {
  isEncodable: (value) => {
    try {
      pack(value)
      return true
    } catch {
      return false
    }
  },
}

/** Throws a `Rejection` if the value breaks the rule. */
const judge = (rule: Rule, value: unknown, field: string, limits: RuleLimits): void => {
  const violation = rule(value, field, limits, HUB_CHECKS)
  if (violation !== undefined) throw new Rejection(violation.code, violation.message)
}

/** Returns the value of a field if it keeps the rule; throws a `Rejection` if it breaks it. */
export function readValue<A>(rule: Rule<A>, value: unknown, field: string): A
export function readValue(rule: Rule, value: unknown, field: string): unknown {
  judge(rule, value, field, {})
  return value
}

/** Returns the payload as an object; null has no fields. Throws a `Rejection` if it is anything else. */
export const objectOf = (payload: unknown): Metadata => {
  if (payload === null) return NOTHING
  if (!Envelope.isPlainObject(payload)) throw malformed('"payload" must be an object')
  return payload
}

const readFields = (
  fields: Fields,
  given: Metadata,
  prefix: string,
  { envelope, hub, session }: Source,
  names: ReadonlyArray<string>,
): { readonly [name: string]: unknown } => {
  const { limits } = hub.port
  const { major } = session
  const taken: { [name: string]: unknown } = {}
  for (const name in fields) {
    if (names.length > 0 && !names.includes(name)) continue
    const field = fields[name]!
    let value = major < (field.since ?? 0) ? undefined : given[name]
    if (field.otherwise !== undefined) value ??= field.otherwise(envelope, major)
    if (field.presence !== "required" && (value === undefined || value === null)) {
      taken[name] = field.default?.(limits, major)
      continue
    }
    if (value === undefined && field.missing !== undefined) throw malformed(field.missing)
    judge(field.rule, value, prefix + name, limits)
    taken[name] = field.cap === undefined ? value : Math.min(Number(value), limits[field.cap])
  }
  return taken
}

/**
 * Reads the payload of a message of this type: all its fields, or those named, in the order of the table. So a
 * handler can check the token's rights between two fields. Throws a `Rejection` of the first that breaks its rule.
 */
export function readPayload<
  T extends MessageToHub,
  K extends keyof PayloadFields<T> & string = keyof PayloadFields<T> & string,
>(type: T, source: Source, ...names: ReadonlyArray<K>): Pick<Taken<PayloadFields<T>>, K>
export function readPayload(type: MessageToHub, source: Source, ...names: ReadonlyArray<string>): object {
  return readFields(rowOf(type).payload ?? {}, objectOf(source.envelope.payload), "", source, names)
}

/** Reads the metadata of a message of this type, as `readPayload` does the payload. */
export function readMetadata<
  T extends MessageToHub,
  K extends keyof MetadataFields<T> & string = keyof MetadataFields<T> & string,
>(type: T, source: Source, ...names: ReadonlyArray<K>): Pick<Taken<MetadataFields<T>>, K>
export function readMetadata(type: MessageToHub, source: Source, ...names: ReadonlyArray<string>): object {
  return readFields(rowOf(type).metadata ?? {}, source.envelope.metadata, "metadata.", source, names)
}
