/** Tells and asks of who has no address and no socket: a Worker's request, a cron, a queue's consumer. */
import { Address, type Envelope } from "@signal-hub/actor-core"
import * as Data from "effect/Data"
import type { RoutingTable } from "../gateway/RoutingTable.ts"
import type { Caller } from "../gateway/Rpc.ts"
import { tableReach } from "../gateway/TableReach.ts"
import { messageId } from "../protocol/MessageId.ts"
import type { HubEnv } from "./HubEnv.ts"

/** What a call by a Worker comes from: nobody's address, as answers go back with the call. */
const NOBODY: Address.Address = "@(session/worker)"
/** Milliseconds that a told function may take. */
const LONGEST_FUNCTION = 30_000
const CALLER: Caller = { home: NOBODY, claims: null }

/** An ask has failed, or a tell was not taken. `code` as in `hub:error`, or the actor's own. */
export class ActorCallFailed extends Data.TaggedError("ActorCallFailed")<{
  readonly code: string
  readonly message: string
}> {}

export interface ActorCalls {
  /** Resolves when it was taken, by a function when it has ended; rejects `ActorCallFailed`. */
  readonly tell: (to: string, type: string, payload?: unknown) => Promise<void>
  /** Resolves with the answer's payload; rejects `ActorCallFailed`. `timeout`: milliseconds, by default 30 s. */
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
    const [outcome] = (await reach(address)?.deliver({ caller: CALLER, deliveries: [{ envelope }] })) ?? []
    if (outcome === undefined) throw unknown(address)
    if (outcome.status === "refused") throw new ActorCallFailed(outcome)
  }
  const ask: ActorCalls["ask"] = async (to, type, payload = null, { timeout = 30_000 } = {}) => {
    const address = addressOf(to)
    const answer = await reach(address)?.request(envelopeTo(address, type, payload, "ask"), timeout)
    if (answer === undefined) throw unknown(address)
    return answerOf(answer, address)
  }
  return { tell, ask }
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
): Envelope.Envelope => ({
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
})
