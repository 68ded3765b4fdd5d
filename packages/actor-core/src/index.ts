/**
 * The vocabulary and the runtime of actors. The vocabulary alone is at `./vocabulary`, the msgpack codec
 * at `./codec/msgpack`.
 */
export {
  type ActorContext,
  type MessageContext,
  type Reply,
  type SpawnOptions,
  type Timers,
} from "./ActorContext.ts"
export * as ActorError from "./ActorError.ts"
export * as ActorMetrics from "./ActorMetrics.ts"
export * as ActorRef from "./ActorRef.ts"
export * as ActorStream from "./ActorStream.ts"
export * as ActorTracing from "./ActorTracing.ts"
export * as ActorSystem from "./ActorSystem.ts"
export * as Behavior from "./Behavior.ts"
export { type DeadLetter, type DeadLetters } from "./DeadLetters.ts"
export * as Continuation from "./Continuation.ts"
export * as DeadLetterStream from "./DeadLetterStream.ts"
export { type Dispatcher, type Runnable } from "./Dispatcher.ts"
export { type Event, type EventStream, type SystemEvent } from "./EventStream.ts"
export {
  type Answered,
  type AnyHandlers,
  type HandlerResult,
  type Handlers,
  type NoOthers,
  type ServicesOf,
} from "./Handlers.ts"
export * as InMemoryTransport from "./InMemoryTransport.ts"
export * as LocalSystem from "./LocalSystem.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Persistence from "./Persistence.ts"
export * as PersistentBehavior from "./PersistentBehavior.ts"
export {
  type PersistentContext,
  type PersistentMessageContext,
  type ReplyToken,
} from "./PersistentContext.ts"
export * as Protocol from "./Protocol.ts"
export * as Signal from "./Signal.ts"
export * as Supervision from "./Supervision.ts"
export * as VirtualActors from "./VirtualActors.ts"
export * from "./vocabulary.ts"
export { AddressSchema, WireEnvelope } from "./WireSchema.ts"
