/**
 * What schemas do at the border of a process: to values that leave and values that arrive. Imported by the
 * border only: a program whose actors stay in one process needs no schema library.
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { StandardSchemaV1 } from "effect/StandardSchema"
import { measure, type MeasureOptions, UnsupportedValue } from "./PayloadValue.ts"
import * as Protocol from "./Protocol.ts"

/** A value that a schema refuses, with the schema's own words. */
export class InvalidValue extends Data.TaggedError("InvalidValue")<{
  readonly message: string
}> {}

/**
 * The value as it goes over a wire or into a row: one that a payload may hold. A schema that takes anything, or
 * one of another library, may give a value that is none.
 */
export const encode = (
  schema: Protocol.AnySchema,
  value: unknown,
  options?: MeasureOptions,
): Result.Result<unknown, InvalidValue> => {
  const encoded = judged(() => wire(schema).encode(value))
  if (Result.isFailure(encoded)) return encoded
  const measured = measure(encoded.success, options)
  return measured instanceof UnsupportedValue
    ? Result.fail(new InvalidValue({ message: measured.message }))
    : encoded
}

/** The value that came over a wire. */
export const decode = (schema: Protocol.AnySchema, value: unknown): Result.Result<unknown, InvalidValue> =>
  judged(() => wire(schema).decode(value))

/** The payload of a message of this protocol. */
export const encodePayload = (
  protocol: Protocol.Any,
  name: string,
  payload: unknown,
): Result.Result<unknown, InvalidValue> => {
  const message = Protocol.find(protocol, name)
  return message === undefined
    ? Result.fail(new InvalidValue({ message: `no message "${name}"` }))
    : encode(message.payload, payload)
}

type Judgment = Result.Result<unknown, { readonly message: string }>

interface Wire {
  readonly encode: (value: unknown) => Judgment
  readonly decode: (value: unknown) => Judgment
}

// Deriving the JSON form of a schema costs more than a message: once for each schema.
const wires = new WeakMap<Protocol.AnySchema, Wire>()

const wire = (schema: Protocol.AnySchema): Wire => {
  let found = wires.get(schema)
  if (found === undefined) wires.set(schema, (found = "ast" in schema ? codec(schema) : checker(schema)))
  return found
}

const codec = (schema: Exclude<Protocol.AnySchema, StandardSchemaV1>): Wire => {
  const json = Schema.toCodecJson(schema)
  return { encode: Schema.encodeUnknownResult(json), decode: Schema.decodeUnknownResult(json) }
}

const checker = (schema: StandardSchemaV1): Wire => {
  const check = (value: unknown): Judgment => {
    const result = schema["~standard"].validate(value)
    if ("then" in result) return Result.fail({ message: "the schema is asynchronous" })
    return result.issues === undefined
      ? Result.succeed(result.value)
      : Result.fail({ message: result.issues.map(({ message }) => message).join("; ") })
  }
  // A sender's value is checked, and sent as it is: what a transformation makes of it is the receiver's.
  const encode = (value: unknown): Judgment => Result.map(check(value), () => value ?? null)
  return { encode, decode: check }
}

/** Longest explanation that is sent, in characters; a schema's own may repeat a whole payload. */
const MAX_REASON = 300

/** Never throws: a transformation that does, or that is asynchronous, must not stop who receives. */
const judged = (evaluate: () => Judgment): Result.Result<unknown, InvalidValue> => {
  try {
    return Result.mapError(
      evaluate(),
      (error) => new InvalidValue({ message: error.message.slice(0, MAX_REASON).toWellFormed() }),
    )
  } catch {
    return Result.fail(new InvalidValue({ message: "the schema failed on it" }))
  }
}
