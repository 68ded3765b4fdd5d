/** What every transport must do, case by case. Which of them are for which transport is in `TransportConformance`. */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Address } from "../Address.ts"
import * as AskError from "../AskError.ts"
import { TransportError } from "../Transport.ts"
import { eventually, inTime, must, type Party, PATIENCE, SILENCE } from "./TransportParty.ts"

/** Two ends that are connected, and an address that neither has. */
export interface World {
  /** The one that is judged. */
  readonly near: Party
  readonly far: Party
  readonly nobody: Address
  readonly maxMessageSize: number | undefined
}

export type Test = readonly [
  name: string,
  run: (world: World) => Effect.Effect<unknown, unknown, Scope.Scope>,
]

const MANY = 50

export const ALWAYS: ReadonlyArray<Test> = [
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
    Effect.fnUntraced(function* ({ near, nobody }) {
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

export const REGISTERING: ReadonlyArray<Test> = [
  [
    "a registered address is reached, and no more once it is let go",
    Effect.fnUntraced(function* ({ far, near, nobody }) {
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
    Effect.fnUntraced(function* ({ far, near, nobody }) {
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

export const endsWithItsActor = Effect.fnUntraced(function* ({ far, near }: World) {
  const sent = near.send(far.address, "question", { pattern: "ask", ttl: PATIENCE })
  yield* far.expect("the ask", ({ id }) => id === sent.id)
  yield* far.close
  const answer = yield* near.expect("the failure", ({ correlationId }) => correlationId === sent.id)
  yield* must(
    AskError.fromEnvelope(answer)?._tag === "ActorTerminated",
    `the ask ended with ${JSON.stringify(answer)}`,
  )
})

export const refusesTooLarge = Effect.fnUntraced(function* ({ far, near, maxMessageSize }: World) {
  const payload = "x".repeat(maxMessageSize ?? 0)
  const refusal = near.transport.send(near.envelope(far.address, "large", { payload }))
  yield* must(refusal?.reason === "too_large", `it was ${refusal === undefined ? "taken" : refusal.reason}`)
  near.send(far.address, "small")
  yield* far.expect("what is small", ({ type }) => type === "small")
  yield* must(far.came.length === 0, "what was refused arrived")
})

export const CLOSING: ReadonlyArray<Test> = [
  [
    "closed, it takes nothing, says so, and hands nothing over",
    Effect.fnUntraced(function* ({ far, near, nobody }) {
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

export const WATCHING: ReadonlyArray<Test> = [
  [
    "a watch on nobody says so",
    Effect.fnUntraced(function* ({ near, nobody }) {
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

export const failsWithItsConnection = Effect.fnUntraced(function* ({ far, near }: World) {
  const scope = Scope.makeUnsafe()
  const { terminated } = yield* Scope.provide(near.transport.watch!(far.address), scope)
  yield* near.close
  const error = yield* inTime("the watch outlives its connection", Effect.flip(terminated))
  yield* must(error.reason === "closed", `the watch fails ${error.reason}`)
  yield* Scope.close(scope, Exit.void)
  const late = yield* Effect.flip(Effect.scoped(near.transport.watch!(far.address)))
  yield* must(late.reason === "closed", `to watch fails ${late.reason}`)
})
