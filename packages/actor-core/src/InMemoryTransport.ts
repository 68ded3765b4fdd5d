/**
 * A network inside one process, which connects actor systems as the hub does: it enforces `from`, knows who
 * is registered, lets an ask be answered once and by who was asked, and says what went wrong in the hub's
 * own words. For tests, examples, and systems that share a process.
 *
 * Every message goes through a codec and is checked like one off a socket, so nothing leaks by reference.
 * It has no sessions, no authentication and no limits but the one on size, and loses nothing.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { isAboutAsk, isMoreToCome } from "./AnswerStream.ts"
import * as Address from "./Address.ts"
import { contentsOf, type Codec } from "./codec/Codec.ts"
import { JsonCodec } from "./codec/JsonCodec.ts"
import { DeadLetterOffice, type DeadLetters, type Reason } from "./DeadLetters.ts"
import { answeredFor, unmarked } from "./Forwarding.ts"
import { check, Malformed, NO_METADATA, type Envelope, utf8Length } from "./Envelope.ts"
import { messageId } from "./MessageId.ts"
import { measure, UnsupportedValue } from "./PayloadValue.ts"
import { type RemoteWatch, TransportError, type Transport } from "./Transport.ts"

const { HUB_ADDRESS } = Address

export interface Options {
  /** What messages are encoded with on their way. Default: JSON. */
  readonly codec?: Codec
  /** Bytes that a message may have when it is encoded. Default: as many as it likes. */
  readonly maxMessageSize?: number
}

export interface Network {
  /** A transport into this network, until the scope closes: then its addresses are gone. */
  readonly connect: Effect.Effect<Transport, never, Scope.Scope>
  /** What reached nobody; told to nobody else, as the hub is silent on tells to unknown addresses. */
  readonly deadLetters: DeadLetters
}

/** A network without anybody in it. */
export const makeNetwork = (options: Options = {}): Effect.Effect<Network> =>
  Effect.map(Clock.Clock, (clock) => {
    const switchboard = new Switchboard(options, clock)
    return {
      deadLetters: switchboard.deadLetters,
      connect: Effect.acquireRelease(
        Effect.sync(() => switchboard.join()),
        (member) => Effect.sync(() => switchboard.leave(member)),
      ).pipe(Effect.map((member) => switchboard.transport(member))),
    }
  })

interface Member {
  /** Who it is before, and unless, it registers. */
  readonly provisional: Address.Address
  readonly addresses: Set<Address.Address>
  receiver: ((envelope: Envelope) => void) | undefined
  open: boolean
}

interface OpenAsk {
  readonly asker: Member
  readonly from: Address.Address
  readonly id: string
  readonly type: string
  readonly asked: Address.Address
  /** Who has it now. */
  target: Address.Address
}

interface Watch {
  readonly member: Member
  readonly target: Address.Address
  readonly end: Deferred.Deferred<{ readonly reason: string }, TransportError>
}

const CLOSED = new TransportError({ reason: "closed", message: "the transport is closed" })
const LET_GO = new TransportError({
  reason: "closed",
  message: "the watch was let go before the actor ended",
})

class Switchboard {
  readonly deadLetters = new DeadLetterOffice()
  readonly #codec: Codec
  readonly #maxMessageSize: number
  readonly #clock: Clock.Clock
  readonly #holders = new Map<string, Member>()
  readonly #asks = new Map<string, OpenAsk>()
  readonly #watches = new Set<Watch>()
  #wire: Array<{ readonly sender: Member; readonly envelope: Envelope }> = []
  // How far the wire is worked off; kept here, as one who receives may make it flush again.
  #next = 0
  #scheduled = false
  #members = 0

  constructor(options: Options, clock: Clock.Clock) {
    this.#codec = options.codec ?? JsonCodec
    this.#maxMessageSize = options.maxMessageSize ?? Infinity
    this.#clock = clock
  }

  join(): Member {
    const provisional = Address.make("session", `m${++this.#members}`)
    const member: Member = { provisional, addresses: new Set(), receiver: undefined, open: true }
    this.#holders.set(provisional, member)
    return member
  }

  leave(member: Member): void {
    member.open = false
    member.receiver = undefined
    for (const address of [...member.addresses, member.provisional]) {
      this.#release(member, address, "disconnected")
    }
    for (const watch of this.#watches) if (watch.member === member) this.#fail(watch, CLOSED)
    for (const [key, ask] of this.#asks) if (ask.asker === member) this.#asks.delete(key)
  }

  transport(member: Member): Transport {
    return {
      guardsAnswers: true,
      send: (envelope) => this.#send(member, envelope),
      receive: (receiver) =>
        Effect.acquireRelease(
          Effect.sync(() => void (member.receiver = receiver)),
          () => Effect.sync(() => void (member.receiver = undefined)),
        ),
      register: (address) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.suspend(() => this.#register(member, address)),
            () => Effect.sync(() => this.#release(member, address, "unregistered")),
          ),
        ),
      watch: (address) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.suspend(() => this.#watch(member, address)),
            (watch) => Effect.sync(() => this.#fail(watch, LET_GO)),
          ),
          ({ end, registered }): RemoteWatch => ({ registered, terminated: Deferred.await(end) }),
        ),
    }
  }

  #register(member: Member, address: Address.Address): Effect.Effect<void, TransportError> {
    if (!member.open) return Effect.fail(CLOSED)
    if (Address.isReserved(address)) {
      return Effect.fail(refusal("forbidden", `${address} is reserved`))
    }
    const holder = this.#holders.get(address)
    if (holder !== undefined && holder !== member) this.#release(holder, address, "superseded")
    this.#holders.set(address, member)
    member.addresses.add(address)
    return Effect.void
  }

  #watch(
    member: Member,
    target: Address.Address,
  ): Effect.Effect<Watch & { readonly registered: boolean }, TransportError> {
    if (!member.open) return Effect.fail(CLOSED)
    const registered = this.#holders.get(target)?.addresses.has(target) === true
    const watch = {
      member,
      target,
      end: Deferred.makeUnsafe<{ readonly reason: string }, TransportError>(),
      registered,
    }
    if (registered) this.#watches.add(watch)
    else Deferred.doneUnsafe(watch.end, Effect.succeed({ reason: "unregistered" }))
    return Effect.succeed(watch)
  }

  #fail(watch: Watch, error: TransportError): void {
    this.#watches.delete(watch)
    Deferred.doneUnsafe(watch.end, Effect.fail(error))
  }

  /** The address is gone, and with it the asks that it had not answered. Its watchers are told why. */
  #release(member: Member, address: Address.Address, reason: string): void {
    if (this.#holders.get(address) !== member) return
    this.#flush()
    this.#holders.delete(address)
    member.addresses.delete(address)
    for (const watch of this.#watches) {
      if (watch.target !== address) continue
      this.#watches.delete(watch)
      Deferred.doneUnsafe(watch.end, Effect.succeed({ reason }))
    }
    for (const [key, ask] of this.#asks) {
      if (ask.target !== address) continue
      this.#asks.delete(key)
      this.#tellFailure(ask.asker, ask, "actor_terminated", `${address} went away before it answered`)
    }
  }

  #send(member: Member, envelope: Envelope): TransportError | undefined {
    if (!member.open) return CLOSED
    for (const [name, value] of contentsOf([envelope])) {
      const measured = measure(value, { name })
      if (measured instanceof UnsupportedValue) return refusal("invalid_message", measured.message)
    }
    let decoded: ReadonlyArray<unknown>
    try {
      const frame = this.#codec.encode([envelope])
      const most = this.#maxMessageSize
      if (most !== Infinity && sizeOf(frame) > most) return tooLarge(most)
      decoded = this.#codec.decode(frame)
    } catch {
      return refusal("invalid_message", "the message holds what the codec can't carry")
    }
    const checked = check(decoded[0])
    if (checked instanceof Malformed) return refusal("invalid_message", checked.reason)
    this.#wire.push({ sender: member, envelope: checked })
    if (!this.#scheduled) {
      this.#scheduled = true
      void Promise.resolve().then(this.#flush)
    }
    return undefined
  }

  readonly #flush = (): void => {
    while (this.#next < this.#wire.length) {
      const { envelope, sender } = this.#wire[this.#next++]!
      const held = this.#heldBy(sender, envelope)
      const metadata = unmarked(envelope.metadata)
      if (held !== undefined) this.#forward(sender, held, { ...envelope, metadata })
      else this.#route(sender, { ...envelope, metadata, from: this.#trueSender(sender, envelope.from) })
    }
    this.#wire = []
    this.#next = 0
    this.#scheduled = false
  }

  /** Kept where the member holds it, else its first address, else its provisional one. */
  #trueSender(sender: Member, from: string): Address.Address {
    if (Address.isAddress(from) && sender.addresses.has(from)) return from
    const [first] = sender.addresses
    return first ?? sender.provisional
  }

  /** The open ask that the member has and hands on. */
  #heldBy(member: Member, { from, id, metadata, pattern }: Envelope): OpenAsk | undefined {
    const ask = pattern === "ask" && metadata.forwardOf === id ? this.#asks.get(askKey(from, id)) : undefined
    return ask !== undefined && this.#holders.get(ask.target) === member ? ask : undefined
  }

  #forward(holder: Member, ask: OpenAsk, envelope: Envelope): void {
    const about = { id: envelope.id, from: ask.target }
    if (envelope.type !== ask.type) {
      return this.#tellFailure(holder, about, "forbidden", "an ask is forwarded under its own type")
    }
    const target = this.#holders.get(envelope.to)
    if (target === undefined) {
      this.#asks.delete(askKey(ask.from, ask.id))
      const message = `nobody is at ${envelope.to}`
      return this.#tell(ask.asker, ask, "hub:unknown_actor", { actorAddress: envelope.to, message })
    }
    const metadata = { ...envelope.metadata, forwardedBy: ask.target }
    ask.target = envelope.to
    this.#hand(target, { ...envelope, from: ask.from, metadata })
  }

  #route(sender: Member, given: Envelope & { readonly from: Address.Address }): void {
    let envelope = given
    const target = this.#holders.get(envelope.to)
    if (envelope.type.startsWith("hub:")) {
      return this.#tellFailure(sender, envelope, "unknown_type", "there is no hub in this network")
    }
    const { correlationId, pattern } = envelope
    if (pattern === "ask" && correlationId !== null) {
      return this.#tellFailure(sender, envelope, "invalid_message", 'an ask has no "correlationId"')
    }
    const byAsker = isAboutAsk(envelope.type)
    if (envelope.correlationId !== null && !byAsker) {
      const key = askKey(envelope.to, envelope.correlationId)
      const ask = this.#asks.get(key)
      if (ask?.target !== envelope.from) return this.#dead("late_answer", envelope)
      if (!isMoreToCome(envelope)) this.#asks.delete(key)
      envelope = { ...envelope, metadata: answeredFor(envelope.metadata, ask.asked, envelope.from) }
    }
    if (target === undefined) {
      if (envelope.pattern === "tell") return this.#dead("unknown_actor", envelope)
      const message = `nobody is at ${envelope.to}`
      return this.#tell(sender, envelope, "hub:unknown_actor", { actorAddress: envelope.to, message })
    }
    if (envelope.ttl === 0) {
      if (envelope.pattern === "tell") return this.#dead("expired", envelope)
      return this.#tellFailure(sender, envelope, "message_expired", "the message expired on its way")
    }
    const { from, id } = envelope
    if (byAsker) {
      const key = askKey(from, envelope.correlationId ?? "")
      const ask = this.#asks.get(key)
      // Answered already, or another's: nothing to say of it.
      if (ask === undefined) return
      if (envelope.type === "actor:cancel") this.#asks.delete(key)
      const holder = this.#holders.get(ask.target)
      // Who asked need not know that the ask was handed on, and to whom.
      if (holder !== undefined) this.#hand(holder, { ...envelope, to: ask.target })
      return
    } else if (envelope.pattern === "ask") {
      if (this.#asks.has(askKey(from, id))) {
        return this.#tellFailure(sender, envelope, "invalid_message", `"id" is that of an ask which is open`)
      }
      const { to, type } = envelope
      this.#asks.set(askKey(from, id), { asker: sender, from, id, type, asked: to, target: to })
    }
    this.#hand(target, envelope)
  }

  #tellFailure(
    to: Member,
    about: { readonly id: string; readonly from: Address.Address },
    code: string,
    message: string,
  ): void {
    this.#tell(to, about, "hub:error", { code, message, resolution: "", retryable: false, details: null })
  }

  #tell(
    to: Member,
    about: { readonly id: string; readonly from: Address.Address },
    type: string,
    payload: unknown,
  ): void {
    this.#hand(to, {
      id: messageId(),
      from: HUB_ADDRESS,
      to: about.from,
      type,
      payload,
      pattern: "tell",
      correlationId: about.id,
      timestamp: this.#clock.currentTimeMillisUnsafe(),
      metadata: NO_METADATA,
      ttl: null,
      signature: null,
    })
  }

  #hand(member: Member, envelope: Envelope): void {
    if (member.receiver === undefined) this.#dead("undeliverable", envelope)
    else member.receiver(envelope)
  }

  #dead(reason: Reason, envelope: Envelope): void {
    this.deadLetters.add(reason, envelope, this.#clock.currentTimeMillisUnsafe())
  }
}

const sizeOf = (frame: string | Uint8Array): number =>
  typeof frame === "string" ? utf8Length(frame) : frame.length

const tooLarge = (most: number): TransportError =>
  new TransportError({
    reason: "too_large",
    message: `the message is larger than this network's limit of ${most} bytes: send it in parts`,
  })

const askKey = (asker: string, id: string): string => `${asker} ${id}`

const refusal = (code: string, message: string): TransportError =>
  new TransportError({ reason: "refused", code, message })
