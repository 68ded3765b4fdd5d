/**
 * Routes direct envelopes: whatever is not `hub:*` goes to `to` as it is, with only `from` enforced.
 * Opens asks, lets each answer through once, and only from where it may come. The hot path of a hub.
 */
import { type Address, AnswerStream, Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { maySend } from "../auth/Authorization.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { type Elsewhere, isElsewhere, notFound } from "./peers/Elsewhere.ts"
import type { Session } from "../session/Session.ts"
import { failAsk } from "./features/AskEnds.ts"
import type { Ask } from "./features/Asks.ts"
import { admits } from "./Backpressure.ts"
import { unmarked } from "./Marks.ts"
import type { HubState } from "./HubState.ts"
import { likeThat } from "./Outboxes.ts"

/** Whether its time is over. `ttl` is what remained when it was received. */
export const isExpired = (envelope: Envelope.Envelope, receivedAt: number, now: number): boolean =>
  envelope.ttl !== null && now >= receivedAt + envelope.ttl

/** Delivers an envelope that is for another actor. `from` is the sender's, as enforced. */
export const route = (
  hub: HubState,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): void => {
  if (envelope.to === HUB_ADDRESS) {
    const message = `the hub has no message type "${envelope.type}"`
    hub.refuse(sender, from, "unknown_type", message, envelope, now)
  } else if (envelope.pattern === "tell" && envelope.correlationId !== null) {
    correlated(hub, sender, from, envelope, envelope.correlationId, now)
  } else if (!maySend(sender.claims, envelope.to)) {
    const message = `the token does not allow to send to ${envelope.to}`
    hub.refuse(sender, from, "forbidden", message, envelope, now)
  } else if (envelope.pattern === "ask") {
    ask(hub, sender, from, envelope, now)
  } else {
    const target = hub.resolve(envelope.to, now)
    if (target === undefined) {
      const beyond = hub.beyond(envelope.to)
      if (beyond !== undefined) {
        if (mayLeave(hub, beyond, sender, from, envelope, now)) beyond.send(withFrom(envelope, from), now)
      } else if (envelope.seq === undefined) hub.deadLetter(withFrom(envelope, from), "unknown_actor", now)
      // Who sends reliably hears what becomes of it.
      else unknownActor(hub, sender, from, envelope, now)
    } else if (admits(hub, target, envelope.to, sender, from, envelope, now)) {
      const isOnItsWay = hub.deliver(target, withFrom(envelope, from), now)
      // Its session turned out to be over, or knows no numbers.
      if (!isOnItsWay && envelope.seq !== undefined) gone(hub, sender, from, envelope, now)
    }
  }
}

/**
 * The envelope as it is delivered: with the sender enforced, unmarked, reliable where it is to be, and then to
 * be numbered anew.
 */
const withFrom = (
  envelope: Envelope.Envelope,
  from: Address.Address,
  reliable = envelope.seq !== undefined,
): Envelope.Envelope => {
  const metadata = unmarked(envelope.metadata)
  if (envelope.from === from && envelope.metadata === metadata && !reliable && envelope.seq === undefined) {
    return envelope
  }
  const enforced: Envelope.Envelope = {
    id: envelope.id,
    from,
    to: envelope.to,
    type: envelope.type,
    payload: envelope.payload,
    pattern: envelope.pattern,
    correlationId: envelope.correlationId,
    timestamp: envelope.timestamp,
    metadata,
    ttl: envelope.ttl,
    signature: envelope.signature,
  }
  return reliable ? Envelope.reliably(enforced) : enforced
}

const ask = (
  hub: HubState,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): void => {
  const { id, to, metadata } = envelope
  const held = metadata.forwardOf === id ? heldAsk(hub, sender, envelope) : undefined
  if (held !== undefined) return forward(hub, held, sender, from, envelope, now)
  if (hub.asks.get(from, id) !== undefined) {
    const message = `"id" is that of an ask that is still open`
    return hub.refuse(sender, from, "invalid_message", message, envelope, now)
  }
  const { maxAsksPerSession, defaultAskTimeout, maxAskTimeout } = hub.port.limits
  if (hub.asks.countOf(sender) >= maxAsksPerSession) {
    return hub.refuse(sender, from, "too_many_asks", `${maxAsksPerSession} asks are open`, envelope, now)
  }
  const target = hub.resolve(to, now)
  const timeout = Math.min(envelope.ttl ?? defaultAskTimeout, maxAskTimeout)
  if (target === undefined) {
    const beyond = hub.beyond(to)
    if (beyond === undefined) return unknownActor(hub, sender, from, envelope, now)
    if (!mayLeave(hub, beyond, sender, from, envelope, now)) return
    beyond.ask(withFrom(envelope, from), timeout, now)
  } else if (!admits(hub, target, to, sender, from, envelope, now)) {
    return
  } else if (!hub.deliver(target, withFrom(envelope, from), now)) {
    return gone(hub, sender, from, envelope, now)
  }
  const reliable = envelope.seq !== undefined
  const opened = hub.asks.open(
    {
      asker: from,
      askerSession: sender.id,
      id,
      asked: to,
      type: envelope.type,
      target: to,
      targetSession: target?.id ?? to,
      timeout,
      reliable,
    },
    now,
  )
  hub.askTimer.watch(opened)
}

/** Who it was for is found to have lost its connection. */
const gone = (
  hub: HubState,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): void => {
  const message = `${envelope.to} has lost its connection`
  hub.refuse(sender, from, "actor_terminated", message, envelope, now)
}

/** Whether what the session sends may leave: where nobody finds back to it, it is refused. */
const mayLeave = (
  hub: HubState,
  beyond: Elsewhere,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): boolean => {
  if (beyond.isFound(from)) return true
  hub.refuse(sender, from, "forbidden", notFound(from), envelope, now)
  return false
}

/** Nobody is at `to`: a typed answer, whether it was asked directly or through `hub:send`. */
export const unknownActor = (
  hub: HubState,
  asker: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
  address: Address.Address = envelope.to,
): void => {
  hub.metrics.errors++
  const payload = { actorAddress: address, message: `there is no actor at ${address}: it is not registered` }
  const answer = hubEnvelope("hub:unknown_actor", from, payload, now, envelope.id)
  hub.deliver(asker, likeThat(answer, envelope), now)
}

/**
 * The open ask that the session holds and re-sends. Whose it is, `from` tells; where it doesn't, as it
 * is the server's to set, the `id` must be that of one ask only.
 */
const heldAsk = (hub: HubState, holder: Session, { from, id }: Envelope.Envelope): Ask | undefined => {
  const named = from === "" ? undefined : hub.asks.get(from, id)
  if (named?.targetSession === holder.id) return named
  const held = hub.asks.of(holder).answering.filter((one) => one.id === id)
  return held.length === 1 ? held[0] : undefined
}

/**
 * The actor that holds the ask gives it to another, which may answer in its place. It stays the asker's, and
 * what was asked for; of what else it says, the receiver learns whose word that is.
 */
const forward = (
  hub: HubState,
  open: Ask,
  holder: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  now: number,
): void => {
  if (open.type !== null && envelope.type !== open.type) {
    const message = `the ask is of type "${open.type}": it is forwarded under that, or answered`
    return hub.refuse(holder, from, "forbidden", message, envelope, now)
  }
  const unsigned = withFrom(envelope, open.asker, isSure(open, envelope))
  const forwarded = { ...unsigned, metadata: { ...unsigned.metadata, forwardedBy: open.target } }
  const target = hub.resolve(envelope.to, now)
  const beyond = target === undefined ? hub.beyond(envelope.to) : undefined
  if (beyond !== undefined) {
    if (!mayLeave(hub, beyond, holder, from, envelope, now)) return
    return beyond.forward(open, forwarded, now)
  }
  // Refused, it stays with its holder.
  if (target !== undefined && !admits(hub, target, envelope.to, holder, from, envelope, now)) return
  if (target !== undefined && hub.deliver(target, forwarded, now)) {
    hub.asks.forward(open, envelope.to, target.id)
  } else {
    const code = target === undefined ? "unknown_actor" : "actor_terminated"
    failAsk(hub, open, code, envelope.to, now)
  }
}

/** An envelope about an ask: its answer, or, from the asker, a cancel or more demand. */
const correlated = (
  hub: HubState,
  sender: Session,
  from: Address.Address,
  envelope: Envelope.Envelope,
  askId: string,
  now: number,
): void => {
  if (AnswerStream.isAboutAsk(envelope.type)) {
    const open = hub.asks.get(from, askId)
    if (open === undefined) return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
    const target = hub.sessionOf(open.targetSession)
    // Refused, it changes nothing: it may be sent again.
    if (target !== undefined && !admits(hub, target, envelope.to, sender, from, envelope, now)) return
    if (envelope.type === "actor:cancel") hub.asks.close(open)
    // Who demands still waits: the next answer may take as long again.
    else hub.asks.extend(open, now)
    // Who asked need not know that the ask was forwarded, and to whom.
    const told = withFrom(envelope, from, isSure(open, envelope))
    toSession(hub, open.targetSession, target, { ...told, to: open.target }, now)
    return
  }
  const open = hub.asks.get(envelope.to, askId)
  const answerer = open?.targetSession === sender.id ? answersFrom(open, envelope, from) : undefined
  if (open === undefined || answerer === undefined)
    return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
  const asker = hub.sessionOf(open.askerSession)
  if (asker !== undefined && !admits(hub, asker, envelope.to, sender, from, envelope, now)) return
  // Where the ask was asked elsewhere, its parts are judged there: one that was refused there comes again.
  const isJudgedHere = !isElsewhere(open.askerSession) || !AnswerStream.isMoreToCome(envelope)
  if (isJudgedHere && !hub.asks.isNext(open, envelope))
    return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
  hub.asks.answered(open, envelope, now)
  const told = withFrom(envelope, answerer, isSure(open, envelope))
  const metadata = Forwarding.answeredFor(told.metadata, open.asked, answerer)
  const answer: Envelope.Envelope = metadata === told.metadata ? told : { ...told, metadata }
  toSession(hub, open.askerSession, asker, answer, now)
}

/** Whether what is about the ask is reliable: where the ask is, or it is itself. */
const isSure = (open: Ask, { seq }: Envelope.Envelope): boolean => open.reliable || seq !== undefined

/**
 * The address that the answer comes from: the one that was asked, unless its sender says that it speaks
 * for another that it holds. From there it is no answer.
 */
const answersFrom = (
  open: Ask,
  { from: written }: Envelope.Envelope,
  from: Address.Address,
): Address.Address | undefined => (written === from && from !== open.target ? undefined : open.target)

/** To the session, or where it is elsewhere to the object of that address. */
const toSession = (
  hub: HubState,
  id: string,
  session: Session | undefined,
  envelope: Envelope.Envelope,
  now: number,
): void => {
  if (isElsewhere(id)) return hub.elsewhere!.send(envelope, now, id)
  if (session === undefined) hub.deadLetter(envelope, "disconnected", now)
  else hub.deliver(session, envelope, now)
}
