/**
 * How the objects that host actors call one another: plain data, so that a test can play any side. Only
 * code of the deployment can call these methods; no frame of a client names one.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"

/** On whose behalf a batch is sent. Every `from` in it was enforced there. */
export interface Caller {
  /** The object that sends: a gateway, by the identity that it serves, or a durable actor. */
  readonly home: Address.Address
  /** What the receiver may know of a client's rights; `null`: it is no client, or has every right. */
  readonly claims: { readonly capabilities: ReadonlyArray<string>; readonly expiresAt: number | null } | null
}

/** One envelope on its way. With a `seq` it is reliable: its effect is to happen once. */
export interface Delivery {
  readonly envelope: Envelope.Envelope
  /** Of an ask: the object that answers and failures go to, and the milliseconds that it may take. */
  readonly ask?: { readonly home: Address.Address; readonly timeout: number }
}

/** Envelopes for one object, those for the same address in the order in which they were sent. */
export interface Batch {
  readonly caller: Caller
  readonly deliveries: ReadonlyArray<Delivery>
}

/** Why a delivery was not taken. */
export type RefusalCode =
  | "unknown_actor"
  | "actor_terminated"
  | "queue_full"
  | "actor_failed"
  | "timeout"
  | "message_expired"
  | "not_subscribed"

/** The answer to an ask; of type `actor:error` where the actor failed. */
export interface Answer {
  readonly type: string
  readonly payload: unknown
  readonly metadata?: Envelope.Metadata
}

/** What became of a delivery. */
export type Outcome =
  /** It was taken. An ask is answered later, by a delivery to its `home`. */
  | { readonly status: "taken" }
  /** It was taken, and this is the answer to the ask. */
  | { readonly status: "answered"; readonly answer: Answer }
  | { readonly status: "refused"; readonly code: RefusalCode; readonly message: string }
  /** The address is served by this object. */
  | { readonly status: "elsewhere"; readonly at: Address.Address }

/** What an object that hosts actors answers to. */
export interface ActorRpc {
  /** Takes envelopes in their order, and gives what became of each, at the same index. */
  deliver(batch: Batch): Promise<ReadonlyArray<Outcome>>
  /** Asks on behalf of who has no address (a Worker, a cron): gives the answer, be it a failure. */
  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope>
  /** `watcher` is told once, by a `hub:terminated`, when `target` ends. Whether there is such an actor. */
  watch(target: Address.Address, watcher: Address.Address): Promise<boolean>
  unwatch(target: Address.Address, watcher: Address.Address): Promise<void>
}

export const TAKEN: Outcome = { status: "taken" }
