/**
 * Typed protocols: which messages an actor takes, what they carry and what it answers, as schemas.
 *
 * Types are checked by the compiler on both sides. Values are encoded and decoded only where they cross
 * the border of a process, in `Schemas`, always to JSON-safe values, so that every codec carries them;
 * between two actors of one process they pass as they are. Who sends and who serves is in `ActorRef`
 * and `ActorSystem`.
 */
import type * as Schema from "effect/Schema"
import type { StandardSchemaV1 } from "effect/StandardSchema"
import { MAX_TYPE_LENGTH } from "./Envelope.ts"

/**
 * What a value is: a schema of Effect's that encodes and decodes without services, or a Standard Schema of
 * any library. One that works asynchronously refuses every value.
 *
 * A Standard Schema can only check, and not encode: what it describes has to be JSON-safe as it is, and a
 * transformation in it is not applied between two actors of one process.
 */
export type AnySchema = Schema.ConstraintCodec<unknown, unknown> | StandardSchemaV1

/** The values that a schema describes. */
export type TypeOf<S> = S extends { readonly "~type.make": unknown; readonly Type: infer T }
  ? T
  : S extends StandardSchemaV1<unknown, infer T>
    ? T
    : never

/** A message that is answered by nothing. */
export interface Tell<out Payload extends AnySchema = AnySchema> {
  readonly pattern: "tell"
  readonly payload: Payload
}

/** A message that is answered once: with a success, or with a typed error. */
export interface Ask<
  out Payload extends AnySchema = AnySchema,
  out Success extends AnySchema = AnySchema,
  out Failure extends AnySchema = AnySchema,
> {
  readonly pattern: "ask"
  readonly payload: Payload
  readonly success: Success
  readonly error: Failure
}

/** A message that is answered by a stream: of any number of successes, which may end with a typed error. */
export interface Stream<
  out Payload extends AnySchema = AnySchema,
  out Success extends AnySchema = AnySchema,
  out Failure extends AnySchema = AnySchema,
> {
  readonly pattern: "stream"
  readonly payload: Payload
  readonly success: Success
  readonly error: Failure
}

/** Any message. */
export type AnyMessage = Tell | Ask | Stream

/** The messages of a protocol by name. The name is the `type` of the envelope. */
export type Messages = { readonly [name: string]: AnyMessage }

/** A told message that an actor sends to itself. From anybody else it is no message of the protocol. */
export interface Own<out Payload extends AnySchema = AnySchema> extends Tell<Payload> {
  readonly own: true
}

/** The messages that one kind of actor takes. */
export interface Protocol<out Name extends string, out M extends Messages> {
  readonly name: Name
  readonly messages: M
}

/** A schema of these few values, which needs no library. */
const simple = <T>(validate: (value: unknown) => StandardSchemaV1.Result<T>): StandardSchemaV1<T> => ({
  "~standard": { version: 1, vendor: "signal-hub", validate },
})

/** What a message carries that carries nothing: `undefined`, on the wire `null`. */
export const Nothing: StandardSchemaV1<void> = simple((value) =>
  value == null ? { value: undefined } : { issues: [{ message: "nothing is expected" }] },
)

/** The error of an ask that has no typed one. */
export const Never: StandardSchemaV1<never> = simple(() => ({
  issues: [{ message: "there is no typed error" }],
}))

/** Any protocol. */
export type Any = Protocol<string, Messages>

/** The names of the messages that others tell. */
export type TellName<P extends Any> = Exclude<ToldName<P>, OwnName<P>>

/** The names of the messages that an actor can tell itself: those that others tell, and its own. */
export type ToldName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Tell ? N : never
}[keyof P["messages"]] &
  string

/** The names of the messages that only the actor itself can send. */
export type OwnName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Own ? N : never
}[keyof P["messages"]] &
  string

/** The names of the messages that are asked. */
export type AskName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Ask ? N : never
}[keyof P["messages"]] &
  string

/** The names of the messages that are answered by a stream. */
export type StreamName<P extends Any> = {
  [N in keyof P["messages"]]: P["messages"][N] extends Stream ? N : never
}[keyof P["messages"]] &
  string

/** What a message carries. */
export type Payload<P extends Any, N extends keyof P["messages"]> = TypeOf<P["messages"][N]["payload"]>

/** What an asked message is answered with, of a stream each element. `void` for a told one. */
export type Success<P extends Any, N extends keyof P["messages"]> = P["messages"][N] extends {
  readonly success: infer S extends AnySchema
}
  ? TypeOf<S>
  : void

/** The typed error of an asked message, or of a stream. `never` for a told one. */
export type Failure<P extends Any, N extends keyof P["messages"]> = P["messages"][N] extends {
  readonly error: infer E extends AnySchema
}
  ? TypeOf<E>
  : never

/** A message that an actor tells itself, as a tuple. */
export type Told<P extends Any> = {
  [N in ToldName<P>]: readonly [name: N, payload: Payload<P, N>]
}[ToldName<P>]

/** The schema of that name in the options, or the one that stands for its absence. */
type SchemaOf<Options, Field extends string, Otherwise> = Options extends {
  readonly [F in Field]: infer S extends AnySchema
}
  ? S
  : Otherwise

export interface TellOptions {
  readonly payload?: AnySchema
}

export interface AskOptions {
  readonly payload?: AnySchema
  readonly success?: AnySchema
  readonly error?: AnySchema
}

// Inferred from the options as a whole: a type parameter for each schema would, where the schema is left
// out, be inferred from the context that the message is written in, and be any schema.

/** A told message. Without a payload it carries nothing: `undefined`, on the wire `null`. */
export const tell = <const O extends TellOptions = {}>(
  options?: O,
): Tell<SchemaOf<O, "payload", typeof Nothing>> => ({
  pattern: "tell",
  payload: (options?.payload ?? Nothing) as SchemaOf<O, "payload", typeof Nothing>,
})

/**
 * A message that only the actor itself sends: by its timers, its pipes and its asks. A reference can't tell
 * it, and off the wire it is refused as unknown.
 */
export const own = <const O extends TellOptions = {}>(
  options?: O,
): Own<SchemaOf<O, "payload", typeof Nothing>> => ({ ...tell(options), own: true })

/** An asked message. Without `success` the answer carries nothing; without `error` it has no typed one. */
export const ask = <const O extends AskOptions = {}>(
  options?: O,
): Ask<
  SchemaOf<O, "payload", typeof Nothing>,
  SchemaOf<O, "success", typeof Nothing>,
  SchemaOf<O, "error", typeof Never>
> => ({
  pattern: "ask",
  payload: (options?.payload ?? Nothing) as SchemaOf<O, "payload", typeof Nothing>,
  success: (options?.success ?? Nothing) as SchemaOf<O, "success", typeof Nothing>,
  error: (options?.error ?? Never) as SchemaOf<O, "error", typeof Never>,
})

/** A message that is answered by a stream. Without `error` it has no typed one. */
export const stream = <const O extends AskOptions = {}>(
  options?: O,
): Stream<
  SchemaOf<O, "payload", typeof Nothing>,
  SchemaOf<O, "success", typeof Nothing>,
  SchemaOf<O, "error", typeof Never>
> => ({ ...ask(options), pattern: "stream" })

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
export const find = (protocol: Any, name: string): AnyMessage | undefined =>
  Object.hasOwn(protocol.messages, name) ? protocol.messages[name] : undefined

/** Whether only the actor itself sends this message. */
export const isOwn = (message: AnyMessage): boolean => "own" in message
