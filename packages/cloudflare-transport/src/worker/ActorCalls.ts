/** Tells and asks of who has no address and no socket: a Worker's request, a cron, a queue's consumer. */
import { Address, type Envelope } from "@signal-hub/actor-core"
import * as Data from "effect/Data"
import type { GatewayEnv } from "../gateway/GatewayEnv.ts"
import type { RoutingTable } from "../gateway/RoutingTable.ts"
import type { ActorRpc, Batch, Outcome } from "../gateway/Rpc.ts"
import { shardOf } from "../gateway/Shards.ts"
import { messageId } from "../protocol/MessageId.ts"

/** What a call by a Worker comes from: nobody's address, as answers go back with the call. */
const NOBODY: Address.Address = "@(session/worker)"

/** An ask has failed, or a tell was not taken. `code` as in `hub:error`, or the actor's own. */
export class ActorCallFailed extends Data.TaggedError("ActorCallFailed")<{
  readonly code: string
  readonly message: string
}> {}

export interface ActorCalls {
  /** Resolves when it was taken; rejects `ActorCallFailed`. */
  readonly tell: (to: string, type: string, payload?: unknown) => Promise<void>
  /** Resolves with the answer's payload; rejects `ActorCallFailed`. `timeout`: milliseconds, by default 30 s. */
  readonly ask: (
    to: string,
    type: string,
    payload?: unknown,
    options?: { readonly timeout?: number },
  ) => Promise<unknown>
}

/** What an envelope is delivered to. */
type Stub = Pick<ActorRpc, "deliver" | "request">

/** Calls by the bindings of this Worker. */
export const actorCalls = <Env extends GatewayEnv>(env: Env, table: RoutingTable<Env>): ActorCalls => {
  const caller = { home: NOBODY, claims: null }
  const tell: ActorCalls["tell"] = async (to, type, payload = null) => {
    const address = addressOf(to)
    const envelope = envelopeTo(address, type, payload, "tell")
    const batch: Batch = { caller, deliveries: [{ envelope }] }
    const destination = table.destination(address)
    if (destination.kind === "function") {
      await destination.run(messageOf(envelope, false), caller, env)
      return
    }
    const stub = stubOf(env, table, address)
    if (stub === undefined) throw unknown(address)
    let outcome = (await stub.deliver(batch))[0]!
    if (destination.kind === "gateway" && isOnward(outcome)) {
      const holder = await env.DIRECTORY.getByName(shardOf(address)).holder(address)
      if (holder !== null) outcome = (await env.SESSION_GATEWAY.getByName(holder).deliver(batch))[0]!
    }
    if (outcome.status === "refused") throw new ActorCallFailed(outcome)
    if (outcome.status === "elsewhere") throw unknown(address)
  }
  const ask: ActorCalls["ask"] = async (to, type, payload = null, { timeout = 30_000 } = {}) => {
    const address = addressOf(to)
    const envelope = envelopeTo(address, type, payload, "ask")
    const destination = table.destination(address)
    if (destination.kind === "function") {
      return (await destination.run(messageOf(envelope, true), caller, env)) ?? null
    }
    const stub = stubOf(env, table, address)
    if (stub === undefined) throw unknown(address)
    return answerOf(await stub.request(envelope, timeout), address)
  }
  return { tell, ask }
}

const stubOf = <Env extends GatewayEnv>(
  env: Env,
  table: RoutingTable<Env>,
  address: Address.Address,
): Stub | undefined => {
  const destination = table.destination(address)
  const bindings = env as unknown as { readonly [name: string]: unknown }
  if (destination.kind === "gateway") {
    // The stub has the methods of the class; its type says so less plainly.
    return env.SESSION_GATEWAY.getByName(address) as unknown as Stub
  }
  if (destination.kind === "service") return bindings[destination.binding] as Stub
  if (destination.kind !== "namespace") return undefined
  const namespace = bindings[destination.binding] as DurableObjectNamespace
  return namespace.getByName(destination.name) as unknown as Stub
}

const answerOf = ({ type, payload }: Envelope.Envelope, address: Address.Address): unknown => {
  if (type === "hub:unknown_actor") throw unknown(address)
  if (type !== "hub:error" && type !== "actor:error") return payload
  const { code, message } = payload as { readonly code: string; readonly message: string }
  throw new ActorCallFailed({ code, message })
}

const isOnward = (outcome: Outcome): boolean =>
  outcome.status === "elsewhere" || (outcome.status === "refused" && outcome.code === "unknown_actor")

const unknown = (address: string): ActorCallFailed =>
  new ActorCallFailed({ code: "unknown_actor", message: `there is no actor at ${address}` })

const addressOf = (to: string): Address.Address => {
  if (Address.isAddress(to)) return to
  throw new ActorCallFailed({
    code: "invalid_address",
    message: `"${to}" is no address: it must be "@(type/name)"`,
  })
}

const messageOf = ({ to, type, payload }: Envelope.Envelope, isAsk: boolean) => ({
  from: NOBODY,
  to,
  type,
  payload,
  isAsk,
  metadata: {},
})

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
