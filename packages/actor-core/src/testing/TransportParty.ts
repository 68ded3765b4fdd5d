/** One end of a transport that is judged: it sends what must be taken, and keeps what came until it is asked for. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Address } from "../Address.ts"
import { NO_METADATA, type Envelope } from "../Envelope.ts"
import type { Transport } from "../Transport.ts"

/** A transport does not do what it must, or not in time. */
export class NonConformance extends Data.TaggedError("NonConformance")<{ readonly message: string }> {}

/** A transport, and the address that is its own to be reached at. */
export interface End {
  readonly transport: Transport
  readonly address: Address
}

/** How long something may take that must happen, milliseconds. */
export const PATIENCE = 10_000
/** Milliseconds in which what must not happen would have. */
export const SILENCE = 100

/** An end, with what came to it. */
export class Party {
  readonly address: Address
  readonly transport: Transport
  readonly came: Array<Envelope> = []
  readonly #scope: Scope.Closeable
  #ids = 0

  constructor({ address, transport }: End, scope: Scope.Closeable) {
    this.address = address
    this.transport = transport
    this.#scope = scope
  }

  /** An envelope of this end. */
  envelope(to: Address, type: string, fields: Partial<Envelope> = {}): Envelope {
    return {
      id: `${this.address.slice(2, -1).replaceAll("/", "-")}-${++this.#ids}`,
      from: this.address,
      to,
      type,
      payload: null,
      pattern: "tell",
      correlationId: null,
      timestamp: 1_700_000_000_000,
      metadata: NO_METADATA,
      ttl: null,
      signature: null,
      ...fields,
    }
  }

  /** Sends what must be taken. */
  send(to: Address, type: string, fields: Partial<Envelope> = {}): Envelope {
    const envelope = this.envelope(to, type, fields)
    const refusal = this.transport.send(envelope)
    if (refusal !== undefined)
      throw new NonConformance({ message: `"${type}" was not taken: ${refusal.message}` })
    return envelope
  }

  answer(ask: Envelope, type: string, fields: Partial<Envelope> = {}): Envelope {
    return this.send(ask.from === "" ? ask.to : ask.from, type, {
      from: ask.to,
      correlationId: ask.id,
      ...fields,
    })
  }

  /** Waits for an envelope that is like this, and takes it. */
  expect(what: string, is: (envelope: Envelope) => boolean): Effect.Effect<Envelope, NonConformance> {
    return eventually(`${what} did not come to ${this.address}`, () => {
      const index = this.came.findIndex(is)
      return index < 0 ? undefined : this.came.splice(index, 1)[0]
    })
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => Scope.close(this.#scope, Exit.void))
}

/** Connects an end; with `registers` it is reached at its address. */
export const join = Effect.fnUntraced(function* (
  end: Effect.Effect<End, unknown, Scope.Scope>,
  registers: boolean,
) {
  const scope = Scope.makeUnsafe()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const party = new Party(yield* Scope.provide(end, scope), scope)
  yield* Scope.provide(
    party.transport.receive((envelope) => void party.came.push(envelope)),
    scope,
  )
  if (registers) yield* Scope.provide(party.transport.register(party.address), scope)
  return party
})

export const must = (holds: boolean, otherwise: string): Effect.Effect<void, NonConformance> =>
  holds ? Effect.void : Effect.fail(new NonConformance({ message: otherwise }))

export const inTime = <A, E>(
  otherwise: string,
  effect: Effect.Effect<A, E>,
): Effect.Effect<A, E | NonConformance> =>
  Effect.timeoutOrElse(effect, {
    duration: PATIENCE,
    orElse: () => Effect.fail(new NonConformance({ message: otherwise })),
  })

/** Waits until there is something. */
export const eventually = <A>(
  otherwise: string,
  get: () => A | undefined,
): Effect.Effect<A, NonConformance> => {
  const poll: Effect.Effect<A> = Effect.suspend(() => {
    const found = get()
    return found === undefined ? Effect.andThen(Effect.sleep(1), poll) : Effect.succeed(found)
  })
  return inTime(otherwise, poll)
}
