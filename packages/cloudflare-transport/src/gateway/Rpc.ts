/**
 * How the objects of the gateway topology call one another: the methods of their RPC, and the data that
 * goes with them. Plain data only, so that a test can play any side.
 *
 * Whoever hosts actors of its own (a durable actor, a Worker service) implements `ActorRpc` and is named
 * in the routing table. Nobody but the code of the deployment can call these methods: no frame of a
 * client names one.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { ActorEntry, PresenceDiff, PresenceMember, TerminatedReason } from "../protocol/HubMessage.ts"

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
  /** `null`: everybody has every right, or it is no client that sends. */
  readonly claims: CallerClaims | null
}

/** One envelope on its way. */
export interface Delivery {
  readonly envelope: Envelope.Envelope
  /** Of an ask: the object that answers and failures go to, and the milliseconds that it may take. */
  readonly ask?: { readonly home: Address.Address; readonly timeout: number }
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
  | { readonly status: "taken" }
  /** It was taken, and this is the answer to the ask. */
  | { readonly status: "answered"; readonly answer: Answer }
  | { readonly status: "refused"; readonly code: RefusalCode; readonly message: string }
  /** This object serves the address no more. */
  | { readonly status: "elsewhere" }

/** The answer to an ask; of type `actor:error` where the actor failed. */
export interface Answer {
  readonly type: string
  readonly payload: unknown
  readonly metadata?: Envelope.Metadata
}

export const TAKEN: Outcome = { status: "taken" }

/**
 * What an object that hosts actors answers to.
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

/** What gateways answer to beside that. */
export interface GatewayRpc extends ActorRpc {
  /** Whether a session here has the identity that the gateway is named by. */
  hasSession(): Promise<boolean>
  /** Until when registrations here hold, epoch milliseconds; `null`: they are over. */
  leases(addresses: ReadonlyArray<Address.Address>): Promise<ReadonlyArray<number | null>>
}

export interface Claimed {
  /** What the version of the registration is at least: later claims have greater ones. */
  readonly version: number
}

export type DirectoryOp =
  /** What `holder` says of an address that it holds. */
  | { readonly do: "put"; readonly entry: ActorEntry; readonly holder: Address.Address }
  | {
      readonly do: "remove"
      readonly address: Address.Address
      readonly holder: Address.Address
      readonly reason: TerminatedReason
    }
  /** The address is the identity of a session now: who held it beside another, does so no more. */
  | { readonly do: "identified"; readonly address: Address.Address }

export interface DirectoryQuery {
  readonly pattern: string
  readonly capabilities: ReadonlyArray<string>
  /** Begin after this address. */
  readonly after: string
  readonly limit: number
  /** The text of the claims of whoever asks. */
  readonly claims: string | null
}

export interface DirectoryPage {
  readonly entries: ReadonlyArray<ActorEntry>
  /** The address to go on after; `null`: there is no more. */
  readonly next: string | null
}

export interface BroadcastSlice {
  /** The copies differ in `id` and `to`. */
  readonly envelope: Envelope.Envelope
  readonly pattern: string | null
  readonly capability: string | null
  /** A holder that gets no copies. */
  readonly except: Address.Address | null
  readonly claims: string | null
  readonly after: string
}

export interface BroadcastResult {
  readonly delivered: number
  readonly failed: number
  readonly next: string | null
}

export interface DirectoryRpc {
  /** `holder` is to serve the address beside its identity. `null`: it is another's identity. */
  claim(entry: ActorEntry, holder: Address.Address): Promise<Claimed | null>
  /** The identity that serves an address beside its own. */
  holder(address: Address.Address): Promise<Address.Address | null>
  /** As `ActorRpc` has it, of addresses that are no identities. */
  watch(target: Address.Address, watcher: Address.Address): Promise<boolean>
  unwatch(target: Address.Address, watcher: Address.Address): Promise<void>
  apply(ops: ReadonlyArray<DirectoryOp>): Promise<void>
  page(query: DirectoryQuery): Promise<DirectoryPage>
  count(): Promise<number>
  /** Entries in the order of addresses. */
  slice(offset: number, limit: number, claims: string | null): Promise<ReadonlyArray<ActorEntry>>
  broadcast(slice: BroadcastSlice): Promise<BroadcastResult>
}

export interface TopicMember {
  readonly owner: Address.Address
  readonly presence: boolean
  readonly metadata: PresenceMember["metadata"]
}

export type TopicOp =
  | { readonly do: "join"; readonly member: TopicMember }
  | { readonly do: "leave"; readonly owner: Address.Address }
  | { readonly do: "publish"; readonly envelope: Envelope.Envelope }
  | { readonly do: "diff"; readonly diff: PresenceDiff }

export interface TopicResult {
  /** Of a publication: those who got it, or for whom it is in line. */
  readonly count: number
  /** Of a join or leave: the member, where that was news. */
  readonly news?: TopicMember
  /** Of a leave: whether nobody is left. */
  readonly isEmpty?: boolean
}

export interface MembersPage {
  readonly members: ReadonlyArray<PresenceMember>
  readonly next: string | null
}

export interface TopicRpc {
  apply(ops: ReadonlyArray<TopicOp>): Promise<ReadonlyArray<TopicResult>>
  members(after: string, limit: number): Promise<MembersPage>
}

/** The kinds of objects, by what they answer to. `address`: whatever the routing table has at the address. */
export interface Kinds {
  readonly address: GatewayRpc
  readonly topic: TopicRpc
  readonly directory: DirectoryRpc
}

/** A call that gave no result. */
export class CallFailed {
  readonly code: Exclude<RefusalCode, "not_subscribed" | "message_expired">
  readonly message: string
  constructor(code: CallFailed["code"], message: string) {
    this.code = code
    this.message = message
  }
}

type Method = (...args: ReadonlyArray<never>) => Promise<unknown>
export type MethodOf<K extends keyof Kinds> = {
  [M in keyof Kinds[K]]: Kinds[K][M] extends Method ? M : never
}[keyof Kinds[K]]
export type ArgsOf<K extends keyof Kinds, M extends MethodOf<K>> = Kinds[K][M] extends (
  ...args: infer A
) => Promise<unknown>
  ? A
  : never
export type ResultOf<K extends keyof Kinds, M extends MethodOf<K>> = Kinds[K][M] extends (
  ...args: never
) => Promise<infer R>
  ? R
  : never

/** The port through which objects are called. */
export interface Remote {
  /**
   * Calls, and tells `done` once, later, within `callTimeout`, what came of it; then flushes. `repeat`: the
   * call may be repeated where the platform says that it may succeed then. A crash loses it.
   */
  readonly call: <K extends keyof Kinds, M extends MethodOf<K>>(
    kind: K,
    name: string,
    method: M,
    args: ArgsOf<K, M>,
    repeat: boolean,
    done: (result: ResultOf<K, M> | CallFailed) => void,
  ) => void
}
