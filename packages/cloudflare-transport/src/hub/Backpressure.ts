/**
 * What a slow reader means to those who send to it. Point to point each sender is told once to pause,
 * then refused until the reader has caught up; what goes to many is dropped for it alone.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { Multicast } from "../session/Multicast.ts"
import { addressOf, type Session } from "../session/Session.ts"
import type { HubState } from "./HubState.ts"

/**
 * Whether an envelope from one to one may go to the reader. The one that its sender is told by still
 * may; after that, until `hub:resume`, the sender gets `queue_full`.
 */
export const admits = (
  hub: HubState,
  reader: Session,
  address: Address.Address,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): boolean => {
  if (envelope.seq !== undefined && reader.major === 1 && hub.outboxes.of(reader).isFull) {
    const message = `too much waits for ${address}`
    hub.refuse(sender, from, "queue_full", message, envelope, now, { actorAddress: address })
    return false
  }
  // As many reliable answers as there are asks: none of these is to wait for an answer that was refused.
  if (envelope.seq !== undefined && envelope.correlationId !== null) return true
  if (hub.sessions.connectionOf(reader)?.flow.slow !== true) return true
  const { pauses } = hub
  if (!pauses.has(reader, sender, address) && pauses.countOf(reader) < hub.host.limits.maxPausesPerSession) {
    pauses.add(reader, sender, address)
    const payload = { actorAddress: address, reason: "slow_consumer" }
    hub.deliver(sender, hubEnvelope("hub:pause", from, payload, now), now)
    return true
  }
  const message = `${address} reads slower than it is sent to`
  hub.refuse(sender, from, "queue_full", message, envelope, now, { actorAddress: address })
  return false
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
  for (const { sender, address } of hub.pauses.take(reader)) {
    const session = hub.sessions.byId(sender)
    if (session === undefined || session.connectionId === null) continue
    const payload = { actorAddress: address }
    hub.announce(() => hub.deliver(session, hubEnvelope("hub:resume", addressOf(session), payload, now), now))
  }
}
