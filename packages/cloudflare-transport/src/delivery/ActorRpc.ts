/**
 * How the objects that host actors call one another, gateways among them: the methods of their RPC, and the
 * data that goes with them. Plain data only, so that a test can play any side.
 *
 * Nobody but the code of the deployment can call these methods: no frame of a client names one.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"

/** What a receiver may know of whoever sends: the rights, never the token. */
export interface CallerClaims {
  readonly capabilities: ReadonlyArray<string>
  /** Epoch milliseconds; `null`: never. */
  readonly expiresAt: number | null
}

/** On whose behalf a batch is sent. Every `from` in it was enforced there. */
export interface Caller {
  /** The object that sends: a gateway, by the identity that it serves, or a durable actor. */
  readonly home: Address.Address
  /** Of a gateway: its session that sends. Who has one hears `hub:pause` and `hub:resume`. */
  readonly session?: string
  /** `null`: everybody has every right, or it is no client that sends. */
  readonly claims: CallerClaims | null
  /**
   * The name of the line in which the reliable ones of these envelopes are: of one sender, for one address. A
   * `seq` means the same envelope in each call with this name, and is greater than of all that came before it
   * in that line; there may be gaps. A call may come again, with others behind what it had.
   */
  readonly line?: string
}

/** How long it is remembered what was taken, and of asks the answer, milliseconds: 7 days. */
export const DEDUPE_WINDOW = 604_800_000

/** Where an ask came from. */
export interface AskHome {
  /** The object that answers and failures go to. */
  readonly home: Address.Address
  /** Milliseconds that it may take. */
  readonly timeout: number
  /**
   * The address that was asked, where the ask was forwarded from there: an answer, other than one that is the
   * outcome, says it in `metadata.answeredFor`, or it is not taken.
   */
  readonly asked?: Address.Address
}

/**
 * One envelope on its way. With a `seq` it is reliable: its effect happens once, however often it comes, and
 * its outcome stays the same.
 */
export interface Delivery {
  readonly envelope: Envelope.Envelope
  readonly ask?: AskHome
  /** Of what comes through a topic: its name. */
  readonly topic?: string
}

/** Envelopes for one object, those for the same address in the order in which they were sent. */
export interface Batch {
  readonly caller: Caller
  readonly deliveries: ReadonlyArray<Delivery>
}

/** Why a delivery was not taken. */
export type RefusalCode =
  /** There is no such actor. */
  | "unknown_actor"
  /** It has lost its connection, or went away. */
  | "actor_terminated"
  /** It takes no more now; not to be repeated at once. */
  | "queue_full"
  /** It failed on it: its fault, not the sender's. */
  | "actor_failed"
  /** It was not taken in time; whether it was processed is not known. */
  | "timeout"
  /** Its time was over when it was its turn. */
  | "message_expired"
  /** Nobody there is subscribed to the topic any more. */
  | "not_subscribed"

/** What became of a delivery. */
export type Outcome =
  /** It was taken. An ask is answered later, by a delivery to its `home`. */
  | {
      readonly status: "taken"
      /** Its reader is slow: whoever sends is to wait for `hub:resume`. */
      readonly pause?: true
    }
  /** It was taken, and this is the answer to the ask. */
  | { readonly status: "answered"; readonly answer: Answer }
  | {
      readonly status: "refused"
      readonly code: RefusalCode
      readonly message: string
      /** As above. */
      readonly pause?: true
    }
  /** This object serves the address no more; `at` does, where that is known. */
  | { readonly status: "elsewhere"; readonly at?: Address.Address }

/** The answer to an ask; of type `actor:error` where the actor failed. */
export interface Answer {
  readonly type: string
  readonly payload: unknown
  readonly metadata?: Envelope.Metadata
}

export const TAKEN: Outcome = { status: "taken" }

/**
 * Whether a call failed as the object that was called has no such method: it runs other code than the caller, or a
 * class of the deployment's own leaves it out. Whoever calls does without it.
 */
export const isUnsupported = (error: unknown, method: string): boolean =>
  error instanceof TypeError &&
  error.message.includes("The RPC receiver does not implement") &&
  error.message.includes(`"${method}"`)

/** What is called by RPC, as who is called has it: each result at once, or a promise of it. */
export type Served<Rpc> = {
  readonly [Method in keyof Rpc]: Rpc[Method] extends (...args: infer Args) => Promise<infer Result>
    ? (...args: Args) => Result | Promise<Result>
    : never
}

/**
 * What an object that hosts actors answers to.
 *
 * It enforces what a hub does: `from`, and the fields of `metadata` that only servers set (`Forwarding`). Where it
 * hands an ask on, it says by whom in `metadata.forwardedBy`, with `forwardedByServer: true` for an actor of its
 * own; the payload is the word of that actor, not of `from`.
 *
 * Envelopes of three types are for the object and not for its actors: `hub:terminated
 * {actorAddress, reason}`, what one of its actors watched has ended; `hub:error` and `hub:unknown_actor`
 * with a `correlationId`, an ask of its own has failed.
 */
export interface ActorRpc {
  /**
   * Takes envelopes in their order, and gives what became of each, at the same index. It should return as
   * soon as they are taken: until then the sender's next batch to this address waits. Answers to asks,
   * parts of a stream and `actor:error` go to `ask.home` by a `deliver` there, `correlationId` the ask's
   * `id`, as often as the ask allows; or come back as the outcome.
   */
  deliver(batch: Batch): Promise<ReadonlyArray<Outcome>>
  /** Asks on behalf of who has no address (a Worker, a cron): gives the answer, be it a failure. */
  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope>
  /**
   * From now on `watcher` is told once, by a `hub:terminated` delivered to it, when `target` ends. Gives
   * whether there is such an actor: where not, nothing follows. May be repeated.
   */
  watch(target: Address.Address, watcher: Address.Address): Promise<boolean>
  unwatch(target: Address.Address, watcher: Address.Address): Promise<void>
}
