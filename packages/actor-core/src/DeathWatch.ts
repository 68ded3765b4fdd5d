/**
 * Death watch: who wants to hear of an actor's end does, once: for an actor of this system from the actor
 * itself, for one elsewhere from a transport that can watch, and at once for one that is not there.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { ActorCell } from "./ActorCell.ts"
import { DeathPact } from "./ActorError.ts"
import type { Address } from "./Address.ts"
import { cellOf } from "./Reference.ts"
import type { Runtime } from "./Runtime.ts"
import * as Signal from "./Signal.ts"

/** Called once when the actor has ended, unless the returned function is called before. */
export const watch = (
  runtime: Runtime,
  actor: { readonly address: Address },
  ended: (reason: Signal.TerminatedReason) => void,
): (() => void) => {
  const kind = runtime.virtualKind(actor.address)
  if (kind !== undefined) return kind.watch(actor.address, ended)
  const cell = cellOf(runtime, actor)
  if (cell !== undefined) {
    cell.addWatcher(ended)
    return () => cell.removeWatcher(ended)
  }
  const fiber = watchElsewhere(runtime, actor.address, ended)
  let isLetGo = false
  // The end of this system interrupts it: nothing will be heard of the actor any more.
  fiber.addObserver((exit) => {
    if (!isLetGo && Exit.isFailure(exit)) ended("closed")
  })
  return () => {
    isLetGo = true
    fiber.interruptUnsafe()
  }
}

/** The reasons that come from elsewhere; any other is one that is newer than this. */
const ELSEWHERE: ReadonlySet<string> = new Set<Signal.TerminatedReason>([
  "unregistered",
  "disconnected",
  "expired",
  "superseded",
])

const watchElsewhere = (
  runtime: Runtime,
  address: Address,
  ended: (reason: Signal.TerminatedReason) => void,
): Fiber.Fiber<void> => {
  const transport = runtime.border?.transportTo(address)
  const reason: Effect.Effect<Signal.TerminatedReason> =
    transport === undefined
      ? Effect.succeed("unknown")
      : transport.watch === undefined
        ? Effect.succeed("unwatchable")
        : transport.watch(address).pipe(
            Effect.flatMap(({ registered, terminated }) =>
              registered ? terminated : Effect.succeed({ reason: "unknown" }),
            ),
            Effect.scoped,
            Effect.map(({ reason }) =>
              reason === "unknown" || ELSEWHERE.has(reason)
                ? (reason as Signal.TerminatedReason)
                : "disconnected",
            ),
            Effect.catchCause(() => Effect.succeed<Signal.TerminatedReason>("closed")),
          )
  // Not in the stack of who begins to watch.
  return runtime.fork(Effect.yieldNow.pipe(Effect.andThen(reason), Effect.map(ended)))
}

/** What one incarnation of an actor watches. */
export class Watches {
  readonly #cell: ActorCell
  readonly #source: object
  readonly #watched = new Map<Address, { readonly stop: () => void }>()

  constructor(cell: ActorCell, source: object) {
    this.#cell = cell
    this.#source = source
  }

  add(actor: { readonly address: Address }): void {
    const { address } = actor
    if (this.#watched.has(address)) return
    const entry = {
      stop: watch(this.#cell.runtime, actor, (reason) =>
        this.#cell.system(() => {
          // Let go, or outlived by a restart, while the signal waited.
          if (this.#cell.incarnation !== this.#source || this.#watched.get(address) !== entry) return
          this.#watched.delete(address)
          this.#cell.signal(Signal.terminated, { address, reason })
        }),
      ),
    }
    this.#watched.set(address, entry)
  }

  remove(address: Address): void {
    this.#watched.get(address)?.stop()
    this.#watched.delete(address)
  }

  end(): void {
    for (const { stop } of this.#watched.values()) stop()
    this.#watched.clear()
  }
}

/** What an actor fails with that has no function for the end of another that it watched. */
export const deathPact = ({ address, reason }: Signal.Terminated): DeathPact =>
  new DeathPact({
    address,
    reason,
    message: `${address}, which this actor watched, ended (${reason}), and it has no function for that`,
  })
