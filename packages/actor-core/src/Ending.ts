/**
 * The end of an actor's incarnation, as far as that takes time: what it has under way, then its children,
 * then the last look that its behavior has, then the release of what it acquired. When it comes to that,
 * and who hears that an actor has stopped, is its cell's matter.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import { members } from "./Family.ts"
import { isPending, type Wait } from "./Pending.ts"

/** A behavior's function for the signal that an incarnation ends with. */
export interface LastLook {
  readonly signal: symbol
  readonly call: () => unknown
}

/** Ends what the incarnation holds. `undefined`: it is done already. */
export const endIncarnation = (
  cell: ActorCell,
  wait: Wait | null,
  look: LastLook | null,
  exit: Exit.Exit<unknown, unknown>,
): Effect.Effect<void> | undefined => {
  const scope = cell.incarnation?.end() ?? null
  const work: Array<Effect.Effect<void>> = []
  const interrupted = wait?.interrupt()
  if (interrupted !== undefined) work.push(interrupted)
  if (cell.last !== null) work.push(stopChildren(cell))
  if (look !== null) work.push(quietly(cell, look.signal.description ?? "", lookAt(cell, look)))
  // The last look may have acquired something yet.
  const release = Effect.suspend(() => {
    const scope = cell.incarnation?.end() ?? null
    return scope === null ? Effect.void : Scope.close(scope, exit)
  })
  if (scope !== null || look !== null) work.push(quietly(cell, "release", release))
  return work.length === 0 ? undefined : Effect.forEach(work, (step) => step, { discard: true })
}

/** Stops them last to first, and waits for all. */
const stopChildren = (cell: ActorCell): Effect.Effect<void> => {
  const children = members(cell).toReversed()
  for (const child of children) child.stopWithParent()
  return Effect.forEach(children, ended, { discard: true })
}

const lookAt = (cell: ActorCell, look: LastLook): Effect.Effect<unknown, unknown> =>
  Effect.suspend((): Effect.Effect<unknown, unknown> => {
    const result = look.call()
    if (Effect.isEffect(result)) {
      return Effect.provideContext(result as Effect.Effect<unknown, unknown>, cell.holds.services)
    }
    return isPending(result) ? Effect.promise(() => Promise.resolve(result)) : Effect.void
  })

/** Nothing of an end that goes wrong keeps the rest of it from happening. */
export const quietly = (
  cell: ActorCell,
  at: string,
  effect: Effect.Effect<unknown, unknown>,
): Effect.Effect<void> =>
  Effect.catchCause(Effect.asVoid(effect), (cause) =>
    Effect.sync(() =>
      cell.runtime.report({
        kind: "defect",
        error: Cause.squash(cause),
        cause,
        actor: cell.address,
        message: at,
      }),
    ),
  )

/** Ends when the actor has stopped. */
const ended = (cell: ActorCell): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    // The parent may be the one that waits, and its own end goes on by this.
    const ended = () => cell.runtime.endings.give(() => resume(Effect.void))
    cell.addWatcher(ended)
    return Effect.sync(() => cell.removeWatcher(ended))
  })

/** Stops the actor and waits; its own handler, which is part of what stops, does not wait. */
export const stopAndWait = (cell: ActorCell): Effect.Effect<void> =>
  Effect.suspend(() => {
    const own = cell.isCurrent
    cell.stop("stopped")
    return own ? Effect.void : ended(cell)
  })
