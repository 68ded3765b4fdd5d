/** The vocabulary and the runtime of actors. The msgpack codec is apart, at `./codec/msgpack`. */
export * as Address from "./Address.ts"
export * as AddressPattern from "./AddressPattern.ts"
export * as Envelope from "./Envelope.ts"
export { type Codec, UndecodableFrame } from "./codec/Codec.ts"
export { JsonCodec } from "./codec/JsonCodec.ts"
export * as AskError from "./AskError.ts"
export { type RegisterOptions, type Transport, TransportError } from "./Transport.ts"
