/**
 * The vocabulary and the runtime of actors. The vocabulary alone is at `./vocabulary`, the msgpack codec
 * at `./codec/msgpack`.
 */
export * as ActorRef from "./ActorRef.ts"
export * as ActorSystem from "./ActorSystem.ts"
export { type DeadLetter, type DeadLetters } from "./DeadLetters.ts"
export {
  type ActorContext,
  type AnyHandlers,
  type HandlerResult,
  type Handlers,
  type NoOthers,
  type ServicesOf,
} from "./Handlers.ts"
export * as InMemoryTransport from "./InMemoryTransport.ts"
export * as Protocol from "./Protocol.ts"
export * from "./vocabulary.ts"
export { AddressSchema, WireEnvelope } from "./WireSchema.ts"
