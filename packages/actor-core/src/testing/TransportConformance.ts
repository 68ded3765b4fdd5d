/**
 * What every transport must do, as a suite that takes any: give `cases` a pair of ends, and hand each
 * case to the test runner.
 *
 * ```ts
 * for (const { name, run } of TransportConformance.cases(subject)) test(name, () => Effect.runPromise(run))
 * ```
 *
 * A transport is judged by what its users see: what `send` says, what `receive` is handed, how watches
 * end. How fast it is, and what it does over lost connections, is its own tests' matter.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Address } from "../Address.ts"
import * as AskError from "../AskError.ts"
import { NO_METADATA, type Envelope } from "../Envelope.ts"
import { type Transport, TransportError } from "../Transport.ts"
import { live } from "./TestTime.ts"

/** A transport does not do what it must, or not in time. */
export class NonConformance extends Data.TaggedError("NonConformance")<{ readonly message: string }> {}

/** A transport, and the address that is its own to be reached at. */
export interface End {
  readonly transport: Transport
  readonly address: Address
}

/** A way between two processes. */
export interface Subject {
  /** The end that is judged, connected until the scope closes. */
  readonly near: Effect.Effect<End, unknown, Scope.Scope>
  /** Another end of the same network, connected until its own scope closes. It is believed, not judged. */
  readonly far: Effect.Effect<End, unknown, Scope.Scope>
  /** An address that nobody has. */
  readonly nobody: Address
  /**
   * Whether an address is reached only while it is registered. Without, an end has its address as long as
   * it is connected. Default: yes.
   */
  readonly registers?: boolean
  /** Whether the network tells an asker that the asked is gone. Default: yes. */
  readonly endsAsks?: boolean
  /** Whether the near end can be closed. Default: yes. */
  readonly closes?: boolean
  /** Whether the near end can watch. Default: yes. */
  readonly watches?: boolean
  /** Bytes that a message may have; absent: there is no limit to try. */
  readonly maxMessageSize?: number
}

export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, unknown>
}

/** How long something may take that must happen, milliseconds. */
const PATIENCE = 10_000
/** Milliseconds in which what must not happen would have. */
const SILENCE = 100

/** An end, with what came to it. */
class Party {
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

type World = { readonly near: Party; readonly far: Party; readonly subject: Subject }

const join = Effect.fnUntraced(function* (end: Subject["near"], registers: boolean) {
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

/** The cases for such a transport: those that what it says of itself leaves out are not among them. */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const { closes = true, endsAsks = true, registers = true, watches = true } = subject
  const all: Array<Case> = []
  const add = (name: string, run: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>): void => {
    const inWorld = Effect.gen(function* () {
      const near = yield* join(subject.near, registers)
      const far = yield* join(subject.far, registers)
      yield* run({ near, far, subject })
    })
    all.push({ name, run: live(Effect.scoped(inWorld)) })
  }

  for (const [name, run] of ALWAYS) add(name, run)
  if (registers) for (const [name, run] of REGISTERING) add(name, run)
  if (endsAsks) add("an ask whose asked goes away ends, with actor_terminated", endsWithItsActor)
  if (closes) for (const [name, run] of CLOSING) add(name, run)
  if (subject.maxMessageSize !== undefined) add("what is too large is refused at once", refusesTooLarge)
  add(watches ? "it can watch" : "it can't watch, and has no way to", ({ near }) =>
    must((near.transport.watch !== undefined) === watches, "it is otherwise"),
  )
  if (watches) for (const [name, run] of WATCHING) add(name, run)
  if (watches && closes) add("a watch fails where the connection ends for good", failsWithItsConnection)
  return all
}

type Test = readonly [name: string, run: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>]

const MANY = 50

const ALWAYS: ReadonlyArray<Test> = [
  [
    "envelopes arrive in the order sent, as they were, both ways",
    Effect.fnUntraced(function* ({ far, near }) {
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        const sent = Array.from({ length: MANY }, (_, n) =>
          from.send(to.address, "n", { payload: { n, text: "é☃" }, metadata: { n } }),
        )
        yield* eventually(`of ${MANY} envelopes ${to.came.length} arrived`, () =>
          to.came.length >= MANY ? true : undefined,
        )
        const came = to.came.splice(0)
        for (const [n, envelope] of sent.entries()) {
          const arrived = came[n]!
          for (const field of [
            "id",
            "from",
            "to",
            "type",
            "payload",
            "pattern",
            "correlationId",
            "metadata",
          ] as const) {
            yield* must(
              Equal.equals(arrived[field], envelope[field]),
              `${field} of envelope ${n} arrived as ${JSON.stringify(arrived[field])}, sent was ${JSON.stringify(envelope[field])}`,
            )
          }
        }
      }
    }),
  ],
  [
    "what is sent is taken as it is then, and not handed over in the sender's stack",
    Effect.fnUntraced(function* ({ far, near }) {
      const payload = { list: [1] }
      near.send(far.address, "list", { payload })
      yield* must(far.came.length === 0, "it arrived in the stack of who sent it")
      payload.list.push(2)
      const came = yield* far.expect("the list", ({ type }) => type === "list")
      yield* must(Equal.equals(came.payload, { list: [1] }), "a change after the sending shows")
    }),
  ],
  [
    "what no codec can carry is refused, alone",
    Effect.fnUntraced(function* ({ far, near }) {
      const circle: { self?: unknown } = {}
      circle.self = circle
      near.send(far.address, "before")
      const refusal = near.transport.send(near.envelope(far.address, "circle", { payload: circle }))
      yield* must(
        refusal?.reason === "refused" && refusal.code === "invalid_message",
        `it is ${refusal === undefined ? "taken" : `refused with ${refusal.code}`}`,
      )
      near.send(far.address, "after")
      yield* far.expect("what was sent before", ({ type }) => type === "before")
      yield* far.expect("what was sent after", ({ type }) => type === "after")
      yield* must(far.came.length === 0, "what was refused arrived")
    }),
  ],
  [
    "an ask is answered by who was asked",
    Effect.fnUntraced(function* ({ far, near }) {
      for (const [asker, asked] of [
        [near, far],
        [far, near],
      ] as const) {
        const sent = asker.send(asked.address, "question", { pattern: "ask", payload: 1, ttl: PATIENCE })
        const ask = yield* asked.expect("the ask", ({ id }) => id === sent.id)
        yield* must(ask.pattern === "ask", "the ask is no ask any more")
        asked.answer(ask, "answer", { payload: 2 })
        const answer = yield* asker.expect("the answer", ({ correlationId }) => correlationId === sent.id)
        yield* must(
          answer.payload === 2 && answer.from === asked.address,
          `the answer arrived as ${JSON.stringify(answer)}`,
        )
      }
    }),
  ],
  [
    "an ask that is given up is cancelled at who was asked",
    Effect.fnUntraced(function* ({ far, near }) {
      const sent = near.send(far.address, "question", { pattern: "ask", ttl: PATIENCE })
      yield* far.expect("the ask", ({ id }) => id === sent.id)
      near.send(far.address, "actor:cancel", { correlationId: sent.id })
      yield* far.expect(
        "the cancel",
        ({ correlationId, type }) => type === "actor:cancel" && correlationId === sent.id,
      )
    }),
  ],
  [
    "an ask to nobody ends at once, as unknown_actor; a tell is silent",
    Effect.fnUntraced(function* ({ near, subject: { nobody } }) {
      const tell = near.envelope(nobody, "tell")
      const refusal = near.transport.send(tell)
      yield* must(
        refusal === undefined || refusal.code === "unknown_actor",
        `a tell to nobody is refused with ${refusal?.code}`,
      )
      yield* asksNobody(near, nobody)
      yield* must(
        !near.came.some(({ correlationId }) => correlationId === tell.id),
        "a tell to nobody was answered",
      )
    }),
  ],
  [
    "it is for the address of the other end",
    ({ far, near }) =>
      must(near.transport.reaches?.(far.address) !== false, `it does not reach ${far.address}`),
  ],
  [
    "who does not receive any more is handed nothing",
    Effect.fnUntraced(function* ({ far, near }) {
      const { transport } = near
      // There is one receiver at a time: this one takes over, and goes.
      const taken: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* transport.receive(({ type }) => void taken.push(type))
          far.send(near.address, "first")
          yield* eventually("nothing came to the new receiver", () => (taken.length > 0 ? true : undefined))
        }),
      )
      far.send(near.address, "second")
      yield* Effect.sleep(SILENCE)
      yield* must(taken.join() === "first", `its receiver had let go, and was handed ${taken.join()}`)
    }),
  ],
]

/** A question to nobody: refused, or answered that nobody is there. */
const asksNobody = Effect.fnUntraced(function* (party: Party, nobody: Address) {
  const ask = party.envelope(nobody, "question", { pattern: "ask", ttl: PATIENCE })
  const refusal = party.transport.send(ask)
  if (refusal !== undefined) {
    return yield* must(refusal.code === "unknown_actor", `an ask to nobody is refused with ${refusal.code}`)
  }
  const answer = yield* party.expect("the failure", ({ correlationId }) => correlationId === ask.id)
  const failure = AskError.fromEnvelope(answer)
  yield* must(
    failure?._tag === "UnknownActor" && failure.address === nobody,
    `an ask to nobody ends with ${JSON.stringify(answer)}`,
  )
})

const REGISTERING: ReadonlyArray<Test> = [
  [
    "a registered address is reached, and no more once it is let go",
    Effect.fnUntraced(function* ({ far, near, subject: { nobody } }) {
      const scope = Scope.makeUnsafe()
      yield* Scope.provide(near.transport.register(nobody, { capabilities: ["tagged"] }), scope)
      const sent = far.send(nobody, "hello")
      yield* near.expect("what was sent to the new address", ({ id }) => id === sent.id)
      yield* Scope.close(scope, Exit.void)
      yield* asksNobody(far, nobody)
    }),
  ],
  [
    "an ask is answered once, and by nobody else",
    Effect.fnUntraced(function* ({ far, near, subject: { nobody } }) {
      yield* far.transport.register(nobody)
      const sent = near.send(far.address, "question", { pattern: "ask", ttl: PATIENCE })
      const ask = yield* far.expect("the ask", ({ id }) => id === sent.id)
      far.answer(ask, "answer", { from: nobody, payload: "forged" })
      far.answer(ask, "answer", { payload: "first" })
      far.answer(ask, "answer", { payload: "second" })
      far.send(near.address, "last")
      yield* near.expect("the last", ({ type }) => type === "last")
      const answers = near.came.filter(({ correlationId }) => correlationId === sent.id)
      // Where the transport does not guard answers, who asked goes by where they come from.
      const own = answers.filter(({ from }) => from === far.address)
      const judged = near.transport.guardsAnswers === true ? answers : own.slice(0, 1)
      yield* must(
        judged.map(({ payload }) => payload).join() === "first",
        `its answers are ${answers.map(({ payload }) => payload).join()}`,
      )
    }),
  ],
]

const endsWithItsActor = Effect.fnUntraced(function* ({ far, near }: World) {
  const sent = near.send(far.address, "question", { pattern: "ask", ttl: PATIENCE })
  yield* far.expect("the ask", ({ id }) => id === sent.id)
  yield* far.close
  const answer = yield* near.expect("the failure", ({ correlationId }) => correlationId === sent.id)
  yield* must(
    AskError.fromEnvelope(answer)?._tag === "ActorTerminated",
    `the ask ended with ${JSON.stringify(answer)}`,
  )
})

const refusesTooLarge = Effect.fnUntraced(function* ({ far, near, subject }: World) {
  const payload = "x".repeat(subject.maxMessageSize ?? 0)
  const refusal = near.transport.send(near.envelope(far.address, "large", { payload }))
  yield* must(refusal?.reason === "too_large", `it was ${refusal === undefined ? "taken" : refusal.reason}`)
  near.send(far.address, "small")
  yield* far.expect("what is small", ({ type }) => type === "small")
  yield* must(far.came.length === 0, "what was refused arrived")
})

const CLOSING: ReadonlyArray<Test> = [
  [
    "closed, it takes nothing, says so, and hands nothing over",
    Effect.fnUntraced(function* ({ far, near, subject: { nobody } }) {
      yield* near.close
      const before = near.came.length
      const tell = near.transport.send(near.envelope(far.address, "late"))
      yield* must(tell?.reason === "closed", `a tell is ${tell === undefined ? "taken" : tell.reason}`)
      const ask = near.transport.send(near.envelope(far.address, "late", { pattern: "ask", ttl: PATIENCE }))
      yield* must(ask?.reason === "closed", `an ask is ${ask === undefined ? "taken" : ask.reason}`)
      const registered = yield* Effect.flip(Effect.scoped(near.transport.register(nobody)))
      yield* must(registered.reason === "closed", `to register fails ${registered.reason}`)
      far.send(near.address, "to the closed")
      yield* Effect.sleep(SILENCE)
      yield* must(near.came.length === before, "something came after the end")
      yield* must(!far.came.some(({ type }) => type === "late"), "what was refused arrived")
    }),
  ],
]

const WATCHING: ReadonlyArray<Test> = [
  [
    "a watch on nobody says so",
    Effect.fnUntraced(function* ({ near, subject: { nobody } }) {
      const watch = yield* near.transport.watch!(nobody)
      yield* must(!watch.registered, "nobody is registered")
    }),
  ],
  [
    "a watched end is told, once to each watch",
    Effect.fnUntraced(function* ({ far, near }) {
      const watches = [yield* near.transport.watch!(far.address), yield* near.transport.watch!(far.address)]
      for (const { registered } of watches) yield* must(registered, "it is not registered")
      yield* far.close
      for (const { terminated } of watches) {
        const first = yield* inTime("the end of the watched did not come", terminated)
        const again = yield* inTime("the end of the watched is forgotten", terminated)
        yield* must(first.reason !== "" && first.reason === again.reason, "it ended in two ways")
      }
      const after = yield* near.transport.watch!(far.address)
      yield* must(!after.registered, "who is gone is still registered")
    }),
  ],
  [
    "what is let go is not watched any more, what another watches is",
    Effect.fnUntraced(function* ({ far, near }) {
      const scope = Scope.makeUnsafe()
      const gone = yield* Scope.provide(near.transport.watch!(far.address), scope)
      const kept = yield* near.transport.watch!(far.address)
      yield* Scope.close(scope, Exit.void)
      const error = yield* inTime("a watch that is let go does not end", Effect.flip(gone.terminated))
      yield* must(error instanceof TransportError, "a watch that is let go ends as if the actor had")
      yield* far.close
      yield* inTime("the end of the watched did not come", kept.terminated)
    }),
  ],
]

const failsWithItsConnection = Effect.fnUntraced(function* ({ far, near }: World) {
  const scope = Scope.makeUnsafe()
  const { terminated } = yield* Scope.provide(near.transport.watch!(far.address), scope)
  yield* near.close
  const error = yield* inTime("the watch outlives its connection", Effect.flip(terminated))
  yield* must(error.reason === "closed", `the watch fails ${error.reason}`)
  yield* Scope.close(scope, Exit.void)
  const late = yield* Effect.flip(Effect.scoped(near.transport.watch!(far.address)))
  yield* must(late.reason === "closed", `to watch fails ${late.reason}`)
})

const must = (holds: boolean, otherwise: string): Effect.Effect<void, NonConformance> =>
  holds ? Effect.void : Effect.fail(new NonConformance({ message: otherwise }))

const inTime = <A, E>(otherwise: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E | NonConformance> =>
  Effect.timeoutOrElse(effect, {
    duration: PATIENCE,
    orElse: () => Effect.fail(new NonConformance({ message: otherwise })),
  })

/** Waits until there is something. */
const eventually = <A>(otherwise: string, get: () => A | undefined): Effect.Effect<A, NonConformance> => {
  const poll: Effect.Effect<A> = Effect.suspend(() => {
    const found = get()
    return found === undefined ? Effect.andThen(Effect.sleep(1), poll) : Effect.succeed(found)
  })
  return inTime(otherwise, poll)
}
