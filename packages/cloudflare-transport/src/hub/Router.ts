/**
 * Routes direct envelopes: whatever is not `hub:*` goes to `to` as it is, with only `from` enforced.
 * Opens asks, lets each answer through once, and only from where it may come. The hot path of a hub.
 */
import { type Address, AnswerStream, Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { maySend } from "../auth/Authorization.ts"
import { unknownActorEnvelope } from "../protocol/HubEnvelope.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { type Peers, isRemote, notFound } from "./peers/Peers.ts"
import type { Session } from "../session/Session.ts"
import { failAsk } from "./features/AskEnds.ts"
import type { Ask } from "./features/Asks.ts"
import { admits } from "./Backpressure.ts"
import { unmarked } from "./DeliveryMetadata.ts"
import type { Incoming } from "./Incoming.ts"
import { likeThat } from "./Outboxes.ts"

/** Whether its time is over. `ttl` is what remained when it was received. */
export const isExpired = (envelope: Envelope.Envelope, receivedAt: number, now: number): boolean =>
  envelope.ttl !== null && now >= receivedAt + envelope.ttl

/** Delivers a message that is for another actor. */
export const route = (incoming: Incoming): void => {
  const { hub, session, from, envelope, now } = incoming
  if (envelope.to === HUB_ADDRESS) {
    const message = `the hub has no message type "${envelope.type}"`
    hub.reject(incoming, "unknown_type", message)
  } else if (envelope.pattern === "tell" && envelope.correlationId !== null) {
    correlated(incoming, envelope.correlationId)
  } else if (!maySend(session.claims, envelope.to)) {
    const message = `the token does not allow to send to ${envelope.to}`
    hub.reject(incoming, "forbidden", message)
  } else if (envelope.pattern === "ask") {
    ask(incoming)
  } else {
    const target = hub.resolve(envelope.to, now)
    if (target === undefined) {
      const peers = hub.peersFor(envelope.to)
      if (peers !== undefined) {
        if (mayLeave(incoming, peers)) peers.send(withFrom(envelope, from), now)
      } else if (envelope.seq === undefined) hub.deadLetter(withFrom(envelope, from), "unknown_actor", now)
      // Who sends reliably hears what becomes of it.
      else unknownActor(incoming)
    } else if (admits(incoming, target, envelope.to)) {
      const isOnItsWay = hub.deliver(target, withFrom(envelope, from), now)
      // Its session turned out to be over, or knows no numbers.
      if (!isOnItsWay && envelope.seq !== undefined) gone(incoming)
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

const ask = (incoming: Incoming): void => {
  const { hub, session, from, envelope, now } = incoming
  const { id, to, metadata } = envelope
  const held = metadata.forwardOf === id ? heldAsk(incoming) : undefined
  if (held !== undefined) return forward(incoming, held)
  if (hub.asks.get(from, id) !== undefined) {
    const message = `"id" is that of an ask that is still open`
    return hub.reject(incoming, "invalid_message", message)
  }
  const { maxAsksPerSession, defaultAskTimeout, maxAskTimeout } = hub.port.limits
  if (hub.asks.countOf(session) >= maxAsksPerSession) {
    return hub.reject(incoming, "too_many_asks", `${maxAsksPerSession} asks are open`)
  }
  const target = hub.resolve(to, now)
  const timeout = Math.min(envelope.ttl ?? defaultAskTimeout, maxAskTimeout)
  if (target === undefined) {
    const peers = hub.peersFor(to)
    if (peers === undefined) return unknownActor(incoming)
    if (!mayLeave(incoming, peers)) return
    peers.ask(withFrom(envelope, from), timeout, now)
  } else if (!admits(incoming, target, to)) {
    return
  } else if (!hub.deliver(target, withFrom(envelope, from), now)) {
    return gone(incoming)
  }
  const reliable = envelope.seq !== undefined
  const opened = hub.asks.open(
    {
      asker: from,
      askerSession: session.id,
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
const gone = (incoming: Incoming): void => {
  incoming.hub.reject(incoming, "actor_terminated", `${incoming.envelope.to} has lost its connection`)
}

/** Whether what the session sends may leave: where nobody finds back to it, it is refused. */
const mayLeave = (incoming: Incoming, peers: Peers): boolean => {
  const { hub, from } = incoming
  if (peers.isFound(from)) return true
  hub.reject(incoming, "forbidden", notFound(from))
  return false
}

/** Answers `hub:unknown_actor` to a message for `address`, whether it was sent directly or through `hub:send`. */
export const unknownActor = (
  { hub, session, from, envelope, now }: Omit<Incoming, "connection">,
  address: Address.Address = envelope.to,
): void => {
  hub.metrics.errors++
  const payload = { actorAddress: address, message: `there is no actor at ${address}: it is not registered` }
  const answer = unknownActorEnvelope(from, payload, now, envelope.id)
  hub.deliver(session, likeThat(answer, envelope), now)
}

/**
 * The open ask that the session holds and re-sends. Whose it is, `from` tells; where it doesn't, as it
 * is the server's to set, the `id` must be that of one ask only.
 */
const heldAsk = ({ hub, session: holder, envelope: { from, id } }: Incoming): Ask | undefined => {
  const named = from === "" ? undefined : hub.asks.get(from, id)
  if (named?.targetSession === holder.id) return named
  const held = hub.asks.of(holder).answering.filter((one) => one.id === id)
  return held.length === 1 ? held[0] : undefined
}

/**
 * The actor that holds the ask gives it to another, which may answer in its place. It stays the asker's, and
 * what was asked for; of what else it says, the receiver learns whose word that is.
 */
const forward = (incoming: Incoming, open: Ask): void => {
  const { hub, envelope, now } = incoming
  if (open.type !== null && envelope.type !== open.type) {
    const message = `the ask is of type "${open.type}": it is forwarded under that, or answered`
    return hub.reject(incoming, "forbidden", message)
  }
  const unsigned = withFrom(envelope, open.asker, isSure(open, envelope))
  const forwarded = { ...unsigned, metadata: { ...unsigned.metadata, forwardedBy: open.target } }
  const target = hub.resolve(envelope.to, now)
  const peers = target === undefined ? hub.peersFor(envelope.to) : undefined
  if (peers !== undefined) {
    if (!mayLeave(incoming, peers)) return
    return peers.forward(open, forwarded, now)
  }
  // Refused, it stays with its holder.
  if (target !== undefined && !admits(incoming, target, envelope.to)) return
  if (target !== undefined && hub.deliver(target, forwarded, now)) {
    hub.asks.forward(open, envelope.to, target.id)
  } else {
    const code = target === undefined ? "unknown_actor" : "actor_terminated"
    failAsk(hub, open, code, envelope.to, now)
  }
}

/** An envelope about an ask: its answer, or, from the asker, a cancel or more demand. */
const correlated = (incoming: Incoming, askId: string): void => {
  const { hub, session, from, envelope, now } = incoming
  if (AnswerStream.isAboutAsk(envelope.type)) {
    const open = hub.asks.get(from, askId)
    if (open === undefined) return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
    const target = hub.sessionOf(open.targetSession)
    // Refused, it changes nothing: it may be sent again.
    if (target !== undefined && !admits(incoming, target, envelope.to)) return
    if (envelope.type === "actor:cancel") hub.asks.close(open)
    // Who demands still waits: the next answer may take as long again.
    else hub.asks.extend(open, now)
    // Who asked need not know that the ask was forwarded, and to whom.
    const told = withFrom(envelope, from, isSure(open, envelope))
    toSession(incoming, open.targetSession, target, { ...told, to: open.target })
    return
  }
  const open = hub.asks.get(envelope.to, askId)
  const answerer = open?.targetSession === session.id ? answersFrom(open, envelope, from) : undefined
  if (open === undefined || answerer === undefined)
    return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
  const asker = hub.sessionOf(open.askerSession)
  if (asker !== undefined && !admits(incoming, asker, envelope.to)) return
  // Where the ask was asked elsewhere, its parts are judged there: one that was refused there comes again.
  const isJudgedHere = !isRemote(open.askerSession) || !AnswerStream.isMoreToCome(envelope)
  if (isJudgedHere && !hub.asks.isNext(open, envelope))
    return hub.deadLetter(withFrom(envelope, from), "no_such_ask", now)
  hub.asks.answered(open, envelope, now)
  const told = withFrom(envelope, answerer, isSure(open, envelope))
  const metadata = Forwarding.answeredFor(told.metadata, open.asked, answerer)
  const answer: Envelope.Envelope = metadata === told.metadata ? told : { ...told, metadata }
  toSession(incoming, open.askerSession, asker, answer)
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
  { hub, now }: Incoming,
  id: string,
  session: Session | undefined,
  envelope: Envelope.Envelope,
): void => {
  if (isRemote(id)) return hub.peers!.send(envelope, now, id)
  if (session === undefined) hub.deadLetter(envelope, "disconnected", now)
  else hub.deliver(session, envelope, now)
}
