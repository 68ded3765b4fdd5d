/**
 * How an open ask ends without an answer: its target is gone, or its time is over. One timer for all asks
 * in memory, which makes rows of those that are old; the alarm is for the rows.
 */
import { type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { errorEnvelope, unknownActorEnvelope } from "../../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../../protocol/HubError.ts"
import type { Ask } from "./Asks.ts"
import { isRemote } from "../peers/Peers.ts"
import type { HubState } from "../HubState.ts"

/** The ask is over without an answer: its asker hears why. */
export const failAsk = (
  hub: HubState,
  ask: Ask,
  code: "unknown_actor" | HubErrorCode,
  target: Address.Address,
  now: number,
  message: string = code === "unknown_actor"
    ? `there is no actor at ${target}`
    : `${target} went away before it answered`,
): void => {
  hub.asks.close(ask)
  const { asker, askerSession, id } = ask
  const session = hub.sessionOf(askerSession)
  if (session === undefined && !isRemote(askerSession)) return
  hub.metrics.errors++
  const envelope =
    code === "unknown_actor"
      ? unknownActorEnvelope(asker, { actorAddress: target, message }, now, id)
      : errorEnvelope(session?.major ?? null, asker, code, message, now, id)
  const failure = ask.reliable ? Envelope.reliably(envelope) : envelope
  if (session !== undefined) hub.deliver(session, failure, now)
  else hub.peers!.send(failure, now, askerSession as Address.Address)
}

/** Ends the asks, whose time is over; their askers hear `timeout`. */
export const endOverdue = (hub: HubState, overdue: ReadonlyArray<Ask>, now: number): void => {
  for (const ask of overdue) {
    // Where the asker is elsewhere, it is told there: the same time runs out.
    if (isRemote(ask.askerSession)) hub.asks.close(ask)
    else {
      const message = `${ask.target} did not answer within ${ask.timeout} ms`
      failAsk(hub, ask, "timeout", ask.target, now, message)
    }
  }
}

/** One timer for all asks in memory: it ends those that are overdue and stores those that are a second old. */
export class AskTimer {
  readonly #hub: HubState
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(hub: HubState) {
    this.#hub = hub
  }

  /** An ask was opened: sees to it that it becomes a row, or times out, in time. */
  watch({ deadline, storeAt }: Ask): void {
    if (storeAt === 0) this.#hub.alarm.atLatest(deadline)
    else this.#atLatest(Math.min(storeAt, deadline))
  }

  /** Nothing is only in memory. Without the timer the object may hibernate: one that waits is paid for. */
  cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #atLatest(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return
    this.#timer?.cancel()
    const { alarm, asks, port } = this.#hub
    const cancel = port.later(Math.max(0, at - port.now()), () => {
      this.#timer = undefined
      const now = port.now()
      endOverdue(this.#hub, asks.overdueVolatile(now), now)
      const earliest = asks.storeOld(now)
      if (earliest !== undefined) alarm.atLatest(earliest)
      const next = asks.nextLook()
      if (next !== undefined) this.#atLatest(next)
    })
    this.#timer = { at, cancel }
  }
}
