/**
 * What other objects deliver to a hub or a gateway. Whoever calls is code of this deployment, and has enforced
 * `from`; what it says of asks, subscriptions and watches holds only where this object knows of them, and what
 * no client could take is refused.
 */
import {
  type Address,
  AnswerStream,
  Envelope,
  Forwarding,
  messageId,
} from "@signal-hub/actor-core/vocabulary"
import { deliverCopy, isHopeless, notePause, readsSlower } from "../Backpressure.ts"
import type { Ask } from "../features/Asks.ts"
import { isRemote } from "./Peers.ts"
import type { HubState } from "../HubState.ts"
import { remoteSender } from "../PausedSenders.ts"
import type { Session } from "../../session/Session.ts"
import { moveAway } from "../session/IdentityClaim.ts"
import { HUB_ADDRESS, type TerminatedReason } from "../../protocol/HubMessage.ts"
import { objectOf, readValue } from "../readRequest.ts"
import { address as anAddress } from "../../protocol/FieldRules.ts"
import type { HubPeers } from "./HubPeers.ts"
import { type Batch, type Caller, type Delivery, type Outcome, TAKEN } from "../../delivery/Rpc.ts"

const PAUSE: Outcome = { status: "taken", pause: true }
/** For who gives a stream: it may stop. */
const UNREAD: Outcome = { status: "refused", code: "actor_terminated", message: "nobody reads the stream" }

/** Takes each delivery, in order. */
export const take = (
  hub: HubState,
  peers: HubPeers,
  { caller, deliveries }: Batch,
  now: number,
): ReadonlyArray<Outcome> => {
  const { line } = caller
  const first = deliveries.find(({ envelope }) => envelope.seq !== undefined)?.envelope.seq
  if (line !== undefined && first !== undefined) peers.watermarks.begin(line, first)
  return deliveries.map((delivery) => {
    const checked = Envelope.check(delivery.envelope)
    if (checked instanceof Envelope.Malformed) {
      return { status: "refused", code: "actor_failed", message: checked.reason }
    }
    return line === undefined
      ? takeOne(hub, peers, delivery, caller, now)
      : takeOnce(hub, peers, line, delivery, caller, now)
  })
}

/** Takes a reliable delivery, unless it came before: then what became of it is told again. */
const takeOnce = (
  hub: HubState,
  peers: HubPeers,
  line: string,
  delivery: Delivery,
  caller: Caller,
  now: number,
): Outcome => {
  const { ask, envelope } = delivery
  const { seq } = envelope
  // An ask ends once: its answer need not be remembered.
  if (seq === undefined || isEnd(envelope)) return takeOne(hub, peers, delivery, caller, now)
  const before = peers.watermarks.outcome(line, seq)
  if (before !== undefined) return before
  const isLate = envelope.ttl === 0 || ask?.timeout === 0
  const outcome = isLate ? LATE : takeOne(hub, peers, delivery, caller, now)
  peers.watermarks.note(line, seq, outcome)
  return outcome
}

const LATE: Outcome = { status: "refused", code: "message_expired", message: "its ttl ran out" }

/** Whether it is the last that comes to who asked. */
const isEnd = (envelope: Envelope.Envelope): boolean =>
  envelope.correlationId !== null &&
  !AnswerStream.isAboutAsk(envelope.type) &&
  !AnswerStream.isMoreToCome(envelope)

const takeOne = (
  hub: HubState,
  peers: HubPeers,
  delivery: Delivery,
  caller: Caller,
  now: number,
): Outcome => {
  const { envelope, topic } = delivery
  if (topic !== undefined) return fromTopic(hub, envelope, topic, now)
  if (envelope.from === HUB_ADDRESS && envelope.type === "hub:terminated") {
    return terminated(hub, envelope, now)
  }
  if (envelope.from === HUB_ADDRESS && envelope.type === "hub:unregistered") {
    return superseded(hub, envelope, now)
  }
  if (envelope.from === HUB_ADDRESS && envelope.type === "hub:resume") {
    return resumed(peers, envelope, now)
  }
  if (envelope.pattern === "tell" && envelope.correlationId !== null) {
    return correlated(hub, peers, envelope, envelope.correlationId, caller, now)
  }
  return forActor(hub, peers, delivery, caller, now)
}

/** What becomes of an answer that nobody waits for. */
export const unread = (envelope: Envelope.Envelope): Outcome =>
  AnswerStream.isMoreToCome(envelope) ? UNREAD : TAKEN

/** Whether the reader's sender is to be told to pause, as in a hub. A caller without a session can't be told. */
const toPause = (
  hub: HubState,
  reader: Session,
  address: Address.Address,
  { home, session }: Caller,
): boolean => session !== undefined && notePause(hub, reader, address, remoteSender(home, session))

const full = (address: Address.Address, pause: boolean): Outcome => ({
  status: "refused",
  code: "queue_full",
  message: readsSlower(address),
  ...(pause && { pause }),
})

/** A tell or an ask, for a session here: its identity, or another address that it holds. */
const forActor = (
  hub: HubState,
  peers: HubPeers,
  { ask, envelope }: Delivery,
  caller: Caller,
  now: number,
): Outcome => {
  const { to } = envelope
  const from = envelope.from as typeof to
  const known = ask === undefined ? undefined : hub.asks.get(from, envelope.id)
  const target = hub.resolve(to, now)
  if (target === undefined) {
    if (!peers.place.isHome(to)) return { status: "elsewhere" }
    return { status: "refused", code: "unknown_actor", message: `there is no actor at ${to}` }
  }
  const isReliable = envelope.seq !== undefined && target.major === 1
  if (isReliable && hub.outboxes.of(target).isFull) {
    return { status: "refused", code: "queue_full", message: `too much waits for ${to}` }
  }
  const pause = toPause(hub, target, to, caller)
  if (!isReliable && isHopeless(hub, target)) return full(to, pause)
  const taken = pause ? PAUSE : TAKEN
  if (!hub.deliver(target, Forwarding.uncorrelated(envelope), now)) {
    return { status: "refused", code: "actor_terminated", message: `${to} has lost its connection` }
  }
  if (ask === undefined) return taken
  if (known !== undefined && peers.place.isHome(ask.home)) {
    // It was asked here, and was forwarded until it came back.
    hub.asks.forward(known, to, target.id)
    return taken
  }
  // The asker is done with that one: the id is its own to use again.
  if (known !== undefined) hub.asks.close(known)
  const reliable = envelope.seq !== undefined
  const opened = hub.asks.open(
    {
      asker: from,
      askerSession: ask.home,
      id: envelope.id,
      asked: ask.asked ?? to,
      type: envelope.type,
      target: to,
      targetSession: target.id,
      timeout: ask.timeout,
      reliable,
    },
    now,
  )
  hub.askTimer.watch(opened)
  return taken
}

/** An envelope about an ask: for who was asked, a cancel or more demand; for who asked, its answer. */
const correlated = (
  hub: HubState,
  peers: HubPeers,
  envelope: Envelope.Envelope,
  askId: string,
  caller: Caller,
  now: number,
): Outcome => {
  const { from, to, type } = envelope
  const lost = (): Outcome => {
    hub.deadLetter(envelope, "no_such_ask", now)
    return unread(envelope)
  }
  if (from === HUB_ADDRESS && type === "hub:forwarded") {
    forwarded(hub, peers, envelope, askId, now)
    return TAKEN
  }
  if (AnswerStream.isAboutAsk(type)) {
    const open = from === "" ? undefined : hub.asks.get(from, askId)
    const session = open === undefined ? undefined : hub.sessions.byId(open.targetSession)
    if (open === undefined || session === undefined) return lost()
    if (type === "actor:cancel") hub.asks.close(open)
    hub.deliver(session, envelope, now)
    return TAKEN
  }
  const open = hub.asks.get(to, askId)
  if (open === undefined && isAboutTell(envelope)) return notifySender(hub, envelope, now)
  if (open === undefined || !isRemote(open.targetSession)) return lost()
  if (!mayAnswer(open, envelope)) return lost()
  const asker = from === HUB_ADDRESS ? undefined : hub.sessionOf(open.askerSession)
  // What a durable actor answers passes: it gives no more of a stream than was asked for.
  const isBounded = asker === undefined || caller.session === undefined
  const pause = !isBounded && toPause(hub, asker, to, caller)
  // An ask is closed where it was asked of once it is answered there: its answer passes, as it is the last.
  const isVolatile = !open.reliable && envelope.seq === undefined
  if (!isBounded && isVolatile && AnswerStream.isMoreToCome(envelope) && isHopeless(hub, asker)) {
    return full(to, pause)
  }
  if (!hub.asks.isNext(open, envelope)) return lost()
  peers.outbound.outcomes.answered(open, envelope, now)
  return pause ? PAUSE : TAKEN
}

/**
 * Whether it comes from the ask's holder. That somebody else has the ask now may not be known here yet: whoever
 * answers in its place, says for whom, and the object there vouches for it.
 */
const mayAnswer = ({ asked, target }: Ask, envelope: Envelope.Envelope): boolean =>
  envelope.from === target || envelope.metadata.answeredFor === asked || Forwarding.isByHub(envelope)

/**
 * Whether it says what became of a tell that was taken: it could not be encoded, or, sent reliably, its time ran out
 * while it waited for its reader.
 */
const isAboutTell = ({ from, payload, seq, type }: Envelope.Envelope): boolean => {
  if (from !== HUB_ADDRESS || type !== "hub:error") return false
  const { code } = (payload ?? {}) as { readonly code?: unknown }
  return code === "invalid_message" || (code === "message_expired" && seq !== undefined)
}

const notifySender = (hub: HubState, envelope: Envelope.Envelope, now: number): Outcome => {
  const session = hub.resolve(envelope.to, now)
  if (session === undefined) hub.deadLetter(envelope, "disconnected", now)
  else hub.deliver(session, envelope, now)
  return TAKEN
}

/** A slow reader elsewhere has caught up. */
const resumed = (peers: HubPeers, { to, payload }: Envelope.Envelope, now: number): Outcome => {
  const { actorAddress } = payload as { readonly actorAddress: Address.Address }
  peers.outbound.resumed(to, actorAddress, now)
  return TAKEN
}

/** Who was asked has handed the ask on. Where it is over meanwhile, the new holder may stop. */
const forwarded = (
  hub: HubState,
  peers: HubPeers,
  { to, payload }: Envelope.Envelope,
  askId: string,
  now: number,
): void => {
  const target = readValue(anAddress, objectOf(payload).actorAddress, "actorAddress")
  const open = hub.asks.get(to, askId)
  if (open !== undefined) return hub.asks.forward(open, target, target)
  const cancel: Envelope.Envelope = {
    id: messageId(),
    from: to,
    to: target,
    type: "actor:cancel",
    payload: null,
    pattern: "tell",
    correlationId: askId,
    timestamp: now,
    metadata: {},
    ttl: null,
    signature: null,
  }
  peers.send(cancel, now)
}

/** A publication, or who joined and left: for a session that is subscribed still. */
const fromTopic = (hub: HubState, envelope: Envelope.Envelope, topic: string, now: number): Outcome => {
  const session = hub.sessions.byIdentity(envelope.to)
  if (session === undefined || hub.topics.get(topic).get(envelope.to) === undefined) {
    return { status: "refused", code: "not_subscribed", message: `nobody is subscribed to "${topic}"` }
  }
  const isHubs = envelope.from === HUB_ADDRESS
  if (isHubs) hub.notify(session, envelope)
  else if (!deliverCopy(hub, session, envelope, now)) {
    const message = `${envelope.to} reads too slowly, or has lost its connection`
    return { status: "refused", code: "actor_terminated", message }
  }
  return TAKEN
}

/** What somebody here watched has ended. Told once: a watch that is over already hears nothing. */
const terminated = (hub: HubState, { to, payload }: Envelope.Envelope, now: number): Outcome => {
  const { actorAddress, reason } = payload as {
    readonly actorAddress: typeof to
    readonly reason: TerminatedReason
  }
  const session = hub.owner(to)
  if (hub.watches.removeWatcher(actorAddress, to) && session !== undefined) {
    hub.notifyTerminated(session, to, actorAddress, reason, now)
  }
  return TAKEN
}

/** Another identity has claimed an address that was held here. */
const superseded = (hub: HubState, { payload }: Envelope.Envelope, now: number): Outcome => {
  const address = readValue(anAddress, objectOf(payload).actorAddress, "actorAddress")
  const registration = hub.registry.get(address)
  if (registration !== undefined) hub.atomically(() => moveAway(hub, registration, now))
  return TAKEN
}
