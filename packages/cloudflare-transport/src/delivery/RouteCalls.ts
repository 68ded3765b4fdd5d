/** Deliveries to a function of the routing table: begun in order, each ask answered when its call ends. */
import { type Address, Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { answerEnvelope } from "./AnswerEnvelope.ts"
import type { FunctionRoute, RoutedMessage, RouteFunction } from "./RoutingTable.ts"
import { type Batch, type Delivery, type Outcome, TAKEN } from "./Rpc.ts"

interface Options<Env> {
  readonly env: Env
  readonly acceptForwards?: FunctionRoute<Env>["acceptForwards"] | undefined
  readonly answer: (home: Address.Address, batch: Batch) => void
  readonly log: (event: string, fields: { readonly [field: string]: unknown }) => void
}

/** Begins a call for each delivery. Their ends are not waited for. */
export const runRoute = <Env>(
  run: RouteFunction<Env>,
  batch: Batch,
  options: Options<Env>,
): ReadonlyArray<Outcome> =>
  batch.deliveries.map((delivery) => {
    void answered(run, batch, delivery, options)
    return TAKEN
  })

const answered = async <Env>(
  run: RouteFunction<Env>,
  { caller }: Batch,
  { envelope, ask }: Delivery,
  { acceptForwards, answer, env, log }: Options<Env>,
): Promise<void> => {
  // About an ask that is answered when its call ends: a function can't be stopped.
  if (envelope.correlationId !== null && envelope.pattern === "tell") return
  const { from, to, type, payload, pattern, metadata } = envelope
  const forwardedBy = Forwarding.forwarderOf(metadata)
  const message: RoutedMessage = {
    from: from as Address.Address,
    forwardedBy,
    to,
    type,
    payload,
    isAsk: pattern === "ask",
    metadata,
  }
  const reply = (kind: string, given: unknown): void => {
    if (ask === undefined) return
    const ended = answerEnvelope(envelope, { type: kind, payload: given }, Date.now(), ask.asked)
    if (ended instanceof Envelope.Malformed) throw new TypeError(ended.reason)
    const deliveries = [{ envelope: ended }]
    answer(ask.home, { caller: { home: to, claims: null }, deliveries })
  }
  if (!Forwarding.accepts(acceptForwards, metadata)) {
    // As any answer, after the call.
    await Promise.resolve()
    const refusal = `${to} takes no messages that ${forwardedBy} forwards`
    return reply("actor:error", { code: "forbidden", message: refusal, retryable: false })
  }
  // While it runs, a timer keeps the object from hibernating; after that nobody waits for it.
  const timer = setTimeout(() => {}, ask?.timeout ?? 0)
  try {
    reply("actor:reply", (await run(message, caller, env)) ?? null)
  } catch (error) {
    log("route_failed", { to, type, error: String(error) })
    reply("actor:error", { code: "actor_failed", message: `${to} failed on it`, retryable: false })
  } finally {
    clearTimeout(timer)
  }
}
