/**
 * How the objects of the gateway topology call one another, beside what all hosts of actors answer to: the
 * methods of their RPC, and the data that goes with them.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { ActorRpc, Outcome, RefusalCode } from "./ActorRpc.ts"
import type { ActorEntry, PresenceDiff, PresenceMember, TerminatedReason } from "../protocol/HubMessage.ts"

export {
  type ActorRpc,
  type Answer,
  type AskHome,
  type Batch,
  type Caller,
  type CallerClaims,
  DEDUPE_WINDOW,
  isUnsupported,
  type Delivery,
  type Outcome,
  type RefusalCode,
  type Served,
  TAKEN,
} from "./ActorRpc.ts"

/** Whether another object may have the address. */
export const isOnward = (outcome: Outcome): boolean =>
  outcome.status === "elsewhere" || (outcome.status === "refused" && outcome.code === "unknown_actor")

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
  /** Rows that were looked at. Absent where an earlier version answers. */
  readonly looked?: number
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
  /** Rows that were looked at. Absent where an earlier version answers. */
  readonly looked?: number
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
  broadcast(slice: BroadcastSlice): Promise<BroadcastResult>
}

export interface TopicMember {
  readonly owner: Address.Address
  readonly presence: boolean
  readonly metadata: PresenceMember["metadata"]
  /** Absent from older code: it has a connection. */
  readonly isConnected?: boolean
}

export type TopicOp =
  | { readonly do: "join"; readonly member: TopicMember }
  | { readonly do: "leave"; readonly owner: Address.Address }
  | { readonly do: "connection"; readonly owner: Address.Address; readonly isConnected: boolean }
  | { readonly do: "publish"; readonly envelope: Envelope.Envelope }
  | { readonly do: "diff"; readonly diff: PresenceDiff }

export interface TopicResult {
  /** Of a publication: those who got it, or for whom it is in line. */
  readonly count: number
  /** Of a join, a leave or a connection: the member, where that was news. */
  readonly news?: TopicMember
  /** Tells that the news is of the member's connection. */
  readonly isUpdate?: boolean
  /** Whether nobody is on it once all that came with this is done. */
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

export const isFailed = (result: unknown): result is CallFailed => result instanceof CallFailed

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
