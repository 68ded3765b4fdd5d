/** The vocabulary and the runtime of actors. The msgpack codec is apart, at `./codec/msgpack`. */
export * as ActorRef from "./ActorRef.ts"
export * as ActorSystem from "./ActorSystem.ts"
export * as Address from "./Address.ts"
export * as AddressPattern from "./AddressPattern.ts"
export * as AskError from "./AskError.ts"
export { type Codec, UndecodableFrame } from "./codec/Codec.ts"
export { JsonCodec } from "./codec/JsonCodec.ts"
export { type DeadLetter, type DeadLetters } from "./DeadLetters.ts"
export * as Envelope from "./Envelope.ts"
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
export { type RegisterOptions, type Transport, TransportError } from "./Transport.ts"
