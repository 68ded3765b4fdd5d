/**
 * What a host of persistent actors builds on: who keeps the steps of actors in another way than by
 * `Persistence` gives the service `Journals`. For hosts, as the one in Durable Objects; behaviors need
 * nothing of it.
 */
export * as Continuation from "./Continuation.ts"
export { MicrotaskDispatcher } from "./Dispatcher.ts"
export { encodeAnswer, REPLY } from "./Inbound.ts"
export {
  type Cause,
  type Duties,
  type Journal,
  type JournaledActor,
  Journals,
  type Step,
  type StepError,
  type Then,
} from "./Journal.ts"
export * as Schemas from "./Schemas.ts"
