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
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../Address.ts"
import { live } from "./TestTime.ts"
import {
  ALWAYS,
  CLOSING,
  endsWithItsActor,
  failsWithItsConnection,
  REGISTERING,
  refusesTooLarge,
  type Test,
  WATCHING,
} from "./TransportCases.ts"
import { type End, join, must } from "./TransportParty.ts"

export { type End, NonConformance } from "./TransportParty.ts"

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

/** The cases for such a transport: those that what it says of itself leaves out are not among them. */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const { closes = true, endsAsks = true, registers = true, watches = true, maxMessageSize, nobody } = subject
  const all: Array<Case> = []
  const add = (name: string, run: Test[1]): void => {
    const inWorld = Effect.gen(function* () {
      const near = yield* join(subject.near, registers)
      const far = yield* join(subject.far, registers)
      yield* run({ near, far, nobody, maxMessageSize })
    })
    all.push({ name, run: live(Effect.scoped(inWorld)) })
  }

  for (const [name, run] of ALWAYS) add(name, run)
  if (registers) for (const [name, run] of REGISTERING) add(name, run)
  if (endsAsks) add("an ask whose asked goes away ends, with actor_terminated", endsWithItsActor)
  if (closes) for (const [name, run] of CLOSING) add(name, run)
  if (maxMessageSize !== undefined) add("what is too large is refused at once", refusesTooLarge)
  add(watches ? "it can watch" : "it can't watch, and has no way to", ({ near }) =>
    must((near.transport.watch !== undefined) === watches, "it is otherwise"),
  )
  if (watches) for (const [name, run] of WATCHING) add(name, run)
  if (watches && closes) add("a watch fails where the connection ends for good", failsWithItsConnection)
  return all
}
