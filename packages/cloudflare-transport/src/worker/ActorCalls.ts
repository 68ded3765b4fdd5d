/** Tells and asks of who has no address and no socket: a Worker's request, a cron, a queue's consumer. */
import { Address, type Envelope, messageId, PayloadValue, TimeLimit } from "@signal-hub/actor-core"
import * as Data from "effect/Data"
import type { RoutingTable } from "../delivery/RoutingTable.ts"
import { type Caller, isUnsupported } from "../delivery/Rpc.ts"
import { isStorageRejected } from "../object/StorageRejected.ts"
import { tableReach } from "../delivery/TableReach.ts"
import type { HubEnv } from "../object/HubEnv.ts"

/** What a call by a Worker comes from: nobody's address, as answers go back with the call. */
const NOBODY: Address.Address = "@(session/worker)"
/** Milliseconds that a told function may take. */
const LONGEST_FUNCTION = 30_000
const CALLER: Caller = { home: NOBODY, claims: null }

/** An ask has failed, or a tell was not taken. `code` as in `hub:error`, or the actor's own. */
export class ActorCallFailed extends Data.TaggedError("ActorCallFailed")<{
  readonly code: string
  readonly message: string
  readonly cause?: unknown
}> {}

export interface ActorCalls {
  /** Resolves when it was taken, by a function when it has ended; rejects `ActorCallFailed`. */
  readonly tell: (to: string, type: string, payload?: unknown) => Promise<void>
  /**
   * Resolves with the answer's payload; rejects `ActorCallFailed`. `timeout`: milliseconds, by default 30 s, at most 24
   * hours, for which `Infinity` stands. Below 0 or `NaN` is `invalid_message`.
   */
  readonly ask: (
    to: string,
    type: string,
    payload?: unknown,
    options?: { readonly timeout?: number },
  ) => Promise<unknown>
}

/** Calls by the bindings of this Worker. `hub`: the one with the addresses that the table does not name. */
export const actorCalls = <Env extends HubEnv>(
  env: Env,
  table: RoutingTable<Env>,
  hub?: string,
): ActorCalls => {
  const reach = tableReach(env, table, hub)
  const tell: ActorCalls["tell"] = async (to, type, payload = null) => {
    const address = addressOf(to)
    const envelope = envelopeTo(address, type, payload, "tell")
    if (table.destination(address).kind === "function") {
      // It runs here: it must not end with this call.
      answerOf(await reach(address)!.request(envelope, LONGEST_FUNCTION), address)
      return
    }
    const batch = { caller: CALLER, deliveries: [{ envelope }] }
    const [outcome] = (await called(address, "deliver", reach(address)?.deliver(batch))) ?? []
    if (outcome === undefined) throw unknown(address)
    if (outcome.status === "refused") throw new ActorCallFailed(outcome)
  }
  const ask: ActorCalls["ask"] = async (to, type, payload = null, options = {}) => {
    const { timeout = TimeLimit.DEFAULT_ASK_TIMEOUT_MS } = options
    const violation = TimeLimit.violation(timeout, "timeout")
    if (violation !== undefined) throw new ActorCallFailed({ code: "invalid_message", message: violation })
    const address = addressOf(to)
    const envelope = envelopeTo(address, type, payload, "ask")
    const request = reach(address)?.request(envelope, TimeLimit.ofAsk(timeout))
    const answer = await called(address, "request", request)
    if (answer === undefined) throw unknown(address)
    return answerOf(answer, address)
  }
  return { tell, ask }
}

/** What the call gives. Its failure is typed; whoever has no such method is nobody. */
const called = async <A>(
  address: string,
  method: string,
  call: Promise<A> | undefined,
): Promise<A | undefined> => {
  try {
    return await call
  } catch (error) {
    if (isUnsupported(error, method)) return undefined
    const message = isStorageRejected(error)
      ? `${address} is being upgraded, and can't serve this yet`
      : `${address} can't be reached, or failed on it`
    throw new ActorCallFailed({ code: "actor_terminated", message, cause: error })
  }
}

const answerOf = ({ type, payload }: Envelope.Envelope, address: Address.Address): unknown => {
  if (type === "hub:unknown_actor") throw unknown(address)
  if (type !== "hub:error" && type !== "actor:error") return payload
  const { code, message } = payload as { readonly code: string; readonly message: string }
  throw new ActorCallFailed({ code, message })
}

const unknown = (address: string): ActorCallFailed =>
  new ActorCallFailed({ code: "unknown_actor", message: `there is no actor at ${address}` })

const addressOf = (to: string): Address.Address => {
  if (Address.isAddress(to)) return to
  throw new ActorCallFailed({
    code: "invalid_address",
    message: `"${to}" is no address: it must be "@(type/name)"`,
  })
}

const envelopeTo = (
  to: Address.Address,
  type: string,
  payload: unknown,
  pattern: "tell" | "ask",
): Envelope.Envelope => {
  const measured = PayloadValue.measure(payload)
  if (measured instanceof PayloadValue.UnsupportedValue) {
    throw new ActorCallFailed({ code: "invalid_message", message: measured.message })
  }
  return {
    id: messageId(),
    from: NOBODY,
    to,
    type,
    payload,
    pattern,
    correlationId: null,
    timestamp: Date.now(),
    metadata: {},
    ttl: null,
    signature: null,
  }
}
