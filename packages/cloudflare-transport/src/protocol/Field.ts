/**
 * The fields of a message, as the tables of messages declare them: a field is a rule and a word on its absence.
 * The types of messages are inferred from them.
 */
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { type NumericLimit, optional as optionally, type Rule } from "./FieldRules.ts"
import type { Limits } from "./Limits.ts"
import type { ProtocolMajor } from "./Version.ts"

/**
 * The absence of a field:
 * - `required`: a violation;
 * - `optional`: allowed, null as well;
 * - `expected`: a sender gives the field, and a reader that misses it goes on with its default.
 */
type Presence = "required" | "optional" | "expected"

/** A field: `A` is its type, `D` the type that stands for its absence. */
export interface Field<A = unknown, P extends Presence = Presence, D = unknown> {
  readonly presence: P
  readonly rule: Rule<A>
  /** The message of the violation if a required field is missing; without it the rule has the word. */
  readonly missing?: string
  /** Reads a field that is missing where older clients leave it. */
  readonly otherwise?: (envelope: Envelope.Envelope, major: ProtocolMajor) => unknown
  /** Gives the value of a field that is missing. */
  readonly default?: (limits: Limits, major: ProtocolMajor) => D
  /** The limit that a larger number is brought down to. */
  readonly cap?: NumericLimit
  /** The protocol major from which on the field is read. */
  readonly since?: ProtocolMajor
}

/** Fields by their names, in the order in which they are judged. */
export interface Fields {
  readonly [name: string]: Field
}

/** A field that a message must have. */
export const required = <A>(
  rule: Rule<A>,
  options?: Pick<Field, "missing" | "otherwise">,
): Field<A, "required", never> => ({ presence: "required", rule, ...options })

type Reading = Pick<Field, "cap" | "since">
type Defaulting<D> = Required<Pick<Field<unknown, Presence, D>, "default">>

/** A field that a message may have. */
export function optional<A, D>(rule: Rule<A>, options: Reading & Defaulting<D>): Field<A, "optional", D>
export function optional<A>(rule: Rule<A>, options?: Reading): Field<A, "optional", undefined>
export function optional(rule: Rule, options?: Partial<Field>): Field {
  return { presence: "optional", rule, ...options }
}

/** A field that every sender gives, and that a reader can do without. */
export function expected<A>(rule: Rule<A>): Field<A, "expected", undefined>
export function expected<A, D>(rule: Rule<A>, options: Defaulting<D>): Field<A, "expected", D>
export function expected(rule: Rule, options?: Partial<Field>): Field {
  return { presence: "expected", rule, ...options }
}

type ValueOf<F> = F extends Field<infer A> ? A : never

type Flat<A> = { readonly [K in keyof A]: A[K] }

/** Fields as a sender writes them. */
export type Sent<F extends Fields> = Flat<
  {
    readonly [K in keyof F as F[K] extends Field<unknown, "optional"> ? never : K]: ValueOf<F[K]>
  } & {
    readonly [K in keyof F as F[K] extends Field<unknown, "optional"> ? K : never]?: ValueOf<F[K]>
  }
>

/** Fields as a reader has them: judged, with their defaults. */
export type Taken<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer A, Presence, infer D> ? A | D : never
}

/** An object with these fields. Others are ignored. */
export const record =
  <F extends Fields>(fields: F): Rule<Sent<F>> =>
  (value, field, limits, hub) => {
    if (!Envelope.isPlainObject(value)) {
      return { code: "invalid_message", message: `"${field}" must be an object` }
    }
    for (const name in fields) {
      const { presence, rule } = fields[name]!
      const judged = presence === "optional" ? optionally(rule) : rule
      const violation = judged(value[name], `${field}.${name}`, limits, hub)
      if (violation !== undefined) return violation
    }
    return undefined
  }
