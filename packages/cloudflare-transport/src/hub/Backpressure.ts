/**
 * The effect of a slow reader on those who send to it. Point to point each sender is told once to pause until
 * the reader has caught up; publications and broadcasts are dropped for that reader alone.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { Multicast } from "../session/Multicast.ts"
import { addressOf, type Session } from "../session/Session.ts"
import type { HubState } from "./HubState.ts"
import type { Incoming } from "./Incoming.ts"
import { homeOf } from "./PausedSenders.ts"

/**
 * Whether an envelope from one to one may go to the reader. Its sender is told once to pause. What it sends
 * until it has heard that goes on: reliable envelopes to the outbox, volatile ones to the reader, as far as
 * there is room.
 */
export const admits = (incoming: Incoming, reader: Session, address: Address.Address): boolean => {
  const { hub, session, envelope } = incoming
  const isReliable = envelope.seq !== undefined && reader.major === 1
  if (isReliable && hub.outboxes.of(reader).isFull) {
    const message = `too much waits for ${address}`
    hub.reject(incoming, "queue_full", message, { actorAddress: address })
    return false
  }
  // As many reliable answers as there are asks: none of these is to wait for an answer that was refused.
  if (isReliable && envelope.correlationId !== null) return true
  const isFull = !isReliable && isHopeless(hub, reader)
  if (isFull) {
    hub.reject(incoming, "queue_full", readsSlower(address), { actorAddress: address })
  }
  if (notePause(hub, reader, address, session.id)) notifyPaused(incoming, address)
  return !isFull
}

/** Whether nothing volatile is sent to the reader from one to one: it would cost memory for as long as it lasts. */
export const isHopeless = (hub: HubState, reader: Session): boolean => {
  if (reader.outbox?.isHoldFull === true) return true
  return hub.sessions.connectionOf(reader)?.flow.isFull === true
}

/** Notes that a sender to the reader is to pause. `true`: it was not told yet, and is to be, by whoever knows how. */
export const notePause = (
  hub: HubState,
  reader: Session,
  address: Address.Address,
  sender: string,
): boolean => {
  if (hub.sessions.connectionOf(reader)?.flow.slow !== true) return false
  const { pausedSenders } = hub
  // A sender that is not remembered could not be told to resume.
  if (pausedSenders.countOf(reader) >= hub.port.limits.maxPausesPerSession) return false
  if (pausedSenders.has(reader, sender, address)) return false
  pausedSenders.add(reader, sender, address)
  return true
}

/** The message of a rejection for a reader that is behind. */
export const readsSlower = (address: Address.Address): string => `${address} reads slower than it is sent to`

/** Asks the sender to wait until `hub:resume`. */
export const notifyPaused = (
  { hub, session, from, now }: Pick<Incoming, "hub" | "session" | "from" | "now">,
  actorAddress: Address.Address,
): void => {
  const payload = { actorAddress, reason: "slow_consumer" }
  hub.deliver(session, hubEnvelope("hub:pause", from, payload, now), now)
}

/** Delivers one of many copies. A slow reader misses it. Gives whether it is on its way. */
export const deliverCopy = (
  hub: HubState,
  reader: Session,
  copy: Envelope.Envelope,
  now: number,
  copyOf?: Multicast,
): boolean => {
  if (hub.sessions.connectionOf(reader)?.flow.slow !== true) return hub.deliver(reader, copy, now, copyOf)
  hub.metrics.dropped++
  hub.deadLetter(copy, "slow_consumer", now)
  return false
}

/** The reader has caught up, or its connection is gone: who was told to pause may send again. */
export const resumeSenders = (hub: HubState, reader: Session, now: number): void => {
  hub.atomically(() => {
    for (const { sender, address } of hub.pausedSenders.take(reader)) {
      const home = homeOf(sender)
      const session = home === undefined ? hub.sessions.byId(sender) : undefined
      if (home !== undefined) hub.lifecycle.emit({ type: "resumed", home, address })
      else if (session !== undefined) hub.announce(() => notifyResumed(hub, session, address, now))
    }
  })
}

/** Tells the sender that it may go on. Who has no connection begins anew with the next. */
export const notifyResumed = (
  hub: HubState,
  sender: Session,
  actorAddress: Address.Address,
  now: number,
): void => {
  if (sender.connectionId === null) return
  hub.deliver(sender, hubEnvelope("hub:resume", addressOf(sender), { actorAddress }, now), now)
}
