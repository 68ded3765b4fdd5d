/**
 * The vocabulary alone: addresses, envelopes, failures, codecs and the transport port. A client downloads
 * no more than this until it serves or asks its first actor, so nothing here imports the runtime or
 * `effect/Schema`. That is why the errors of this package are no schema classes: they would cost every
 * client 15 kB. For the same reason this is an entry of its own: bundlers split code by the file, and
 * `index.ts` reaches all of them.
 */
export * as Address from "./Address.ts"
export * as AddressPattern from "./AddressPattern.ts"
export * as AnswerStream from "./AnswerStream.ts"
export * as AskError from "./AskError.ts"
export { type Codec, UndecodableFrame } from "./codec/Codec.ts"
export { JsonCodec } from "./codec/JsonCodec.ts"
export * as Envelope from "./Envelope.ts"
export * as Forwarding from "./Forwarding.ts"
export { messageId } from "./MessageId.ts"
export { monotonicMillis } from "./MonotonicTime.ts"
export * as PayloadValue from "./PayloadValue.ts"
export * as TimeLimit from "./TimeLimit.ts"
export {
  type Receiver,
  type RegisterOptions,
  type RemoteWatch,
  type Transport,
  TransportError,
} from "./Transport.ts"
