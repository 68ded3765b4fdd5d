/**
 * Typed protocols: which messages an actor takes, what they carry and what it answers, as schemas.
 *
 * Types are checked by the compiler on both sides. Values are encoded and decoded only where they cross
 * the border of a process, always to JSON-safe values, so that every codec carries them; between two
 * actors of one process they pass as they are. Who sends and who serves is in `ActorRef` and
 * `ActorSystem`.
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { MAX_TYPE_LENGTH } from "./Envelope.ts"

/** A schema that encodes and decodes without services. One that works asynchronously is refused at use. */
export type AnyCodec = Schema.ConstraintCodec<unknown, unknown>

/** A message that is answered by nothing. */
export interface Tell<out Payload extends AnyCodec = AnyCodec> {
  readonly pattern: "tell"
  readonly payload: Payload
}

/** A message that is answered once: with a success, or with a typed error. */
export interface Ask<
  out Payload extends AnyCodec = AnyCodec,
  out Success extends AnyCodec = AnyCodec,
  out Failure extends AnyCodec = AnyCodec,
> {
  readonly pattern: "ask"
  readonly payload: Payload
  readonly success: Success
  readonly error: Failure
}

/** The messages of a protocol by name. The name is the `type` of the envelope. */
export type Messages = { readonly [name: string]: Tell | Ask }

/** The messages that one kind of actor takes. */
export interface Protocol<out Name extends string, out M extends Messages> {
  readonly name: Name
  readonly messages: M
}

/** The error of an ask that has no typed one. */
export const Never: Schema.Never = Schema.Never

/** Any protocol. */
export type Any = Protocol<string, Messages>

/** The names of the messages that are told. */
export type TellName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Tell ? N : never
}[keyof P["messages"]] &
  string

/** The names of the messages that are asked. */
export type AskName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Ask ? N : never
}[keyof P["messages"]] &
  string

/** What a message carries. */
export type Payload<P extends Any, N extends keyof P["messages"]> = P["messages"][N]["payload"]["Type"]

/** What an asked message is answered with. `void` for a told one. */
export type Success<P extends Any, N extends keyof P["messages"]> =
  P["messages"][N] extends Ask<AnyCodec, infer S, AnyCodec> ? S["Type"] : void

/** The typed error of an asked message. `never` for a told one. */
export type Failure<P extends Any, N extends keyof P["messages"]> =
  P["messages"][N] extends Ask<AnyCodec, AnyCodec, infer E> ? E["Type"] : never

/** A message that is told, as a tuple. */
export type Told<P extends Any> = {
  [N in TellName<P>]: readonly [name: N, payload: Payload<P, N>]
}[TellName<P>]

/** The schema of that name in the options, or the one that stands for its absence. */
type SchemaOf<Options, Field extends string, Otherwise> = Options extends {
  readonly [F in Field]: infer S extends AnyCodec
}
  ? S
  : Otherwise

export interface TellOptions {
  readonly payload?: AnyCodec
}

export interface AskOptions {
  readonly payload?: AnyCodec
  readonly success?: AnyCodec
  readonly error?: AnyCodec
}

// Inferred from the options as a whole: a type parameter for each schema would, where the schema is left
// out, be inferred from the context that the message is written in, and be any schema.

/** A told message. Without a payload it carries nothing: `undefined`, on the wire `null`. */
export const tell = <const O extends TellOptions = {}>(
  options?: O,
): Tell<SchemaOf<O, "payload", Schema.Void>> => ({
  pattern: "tell",
  payload: (options?.payload ?? Schema.Void) as SchemaOf<O, "payload", Schema.Void>,
})

/** An asked message. Without `success` the answer carries nothing; without `error` it has no typed one. */
export const ask = <const O extends AskOptions = {}>(
  options?: O,
): Ask<
  SchemaOf<O, "payload", Schema.Void>,
  SchemaOf<O, "success", Schema.Void>,
  SchemaOf<O, "error", Schema.Never>
> => ({
  pattern: "ask",
  payload: (options?.payload ?? Schema.Void) as SchemaOf<O, "payload", Schema.Void>,
  success: (options?.success ?? Schema.Void) as SchemaOf<O, "success", Schema.Void>,
  error: (options?.error ?? Never) as SchemaOf<O, "error", Schema.Never>,
})

/**
 * A protocol of these messages.
 *
 * Throws a `TypeError` for a message name that no envelope may have as its type: empty, longer than 256
 * characters, or within `hub:` and `actor:`, which are the system's own.
 */
export const make = <const Name extends string, const M extends Messages>(
  name: Name,
  messages: M,
): Protocol<Name, M> => {
  for (const type of Object.keys(messages)) {
    if (type === "" || type.length > MAX_TYPE_LENGTH || /^(hub|actor):/.test(type)) {
      throw new TypeError(`protocol ${name}: a message can't be named ${JSON.stringify(type)}`)
    }
  }
  return { name, messages }
}

/** The message of that name, or `undefined`: names that objects inherit are no messages. */
export const find = (protocol: Any, name: string): Tell | Ask | undefined =>
  Object.hasOwn(protocol.messages, name) ? protocol.messages[name] : undefined

/** A value that a schema refuses, with the schema's own words. */
export class InvalidValue extends Data.TaggedError("InvalidValue")<{
  readonly message: string
}> {}

/** The value as it goes over a wire: JSON-safe. */
export const encode = (schema: AnyCodec, value: unknown): Result.Result<unknown, InvalidValue> =>
  judged(() => wire(schema).encode(value))

/** The value that came over a wire. */
export const decode = (schema: AnyCodec, value: unknown): Result.Result<unknown, InvalidValue> =>
  judged(() => wire(schema).decode(value))

/** Whether a value that never left the process is one of the schema's. */
export const is = (schema: AnyCodec, value: unknown): boolean => wire(schema).is(value)

interface Wire {
  readonly encode: (value: unknown) => Result.Result<unknown, Schema.SchemaError>
  readonly decode: (value: unknown) => Result.Result<unknown, Schema.SchemaError>
  readonly is: (value: unknown) => boolean
}

// Deriving the JSON form of a schema costs more than a message: once for each schema.
const wires = new WeakMap<AnyCodec, Wire>()

const wire = (schema: AnyCodec): Wire => {
  let found = wires.get(schema)
  if (found === undefined) {
    const json = Schema.toCodecJson(schema)
    found = {
      encode: Schema.encodeUnknownResult(json),
      decode: Schema.decodeUnknownResult(json),
      is: Schema.is(schema),
    }
    wires.set(schema, found)
  }
  return found
}

/** Longest explanation that is sent, in characters; a schema's own may repeat a whole payload. */
const MAX_REASON = 300

/** Never throws: a transformation that does, or that is asynchronous, must not stop who receives. */
const judged = (
  evaluate: () => Result.Result<unknown, Schema.SchemaError>,
): Result.Result<unknown, InvalidValue> => {
  try {
    return Result.mapError(
      evaluate(),
      (error) => new InvalidValue({ message: error.message.slice(0, MAX_REASON) }),
    )
  } catch {
    return Result.fail(new InvalidValue({ message: "the schema failed on it" }))
  }
}
