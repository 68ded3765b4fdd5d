/** Carries out what `Supervision` says of an actor that failed. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ActorCell } from "./ActorCell.ts"
import {
  decide,
  DEFAULT,
  type Directive,
  type Failure,
  Restarts,
  type RestartOptions,
} from "./Supervision.ts"

/** Decides about the actor, and does it. The actor has ended its turn. */
export const supervise = (cell: ActorCell, failure: Failure): void => {
  if (cell.ended) return
  const directive = decide(cell.options.supervision ?? DEFAULT, failure)
  switch (directive._tag) {
    case "Resume":
      return cell.resume()
    case "Stop":
      return cell.stop("failed", Exit.failCause(failure.cause))
    case "Escalate":
      return escalate(cell, failure)
    case "Restart":
      return restart(cell, failure, directive)
  }
}

const escalate = (cell: ActorCell, failure: Failure): void => {
  const { parent } = cell
  if (parent === null) return cell.stop("failed", Exit.failCause(failure.cause))
  cell.suspend()
  parent.system(() => {
    if (!cell.suspended) return
    parent.fail(failure)
    // It went on as it was; otherwise the child is stopped with it.
    if (!parent.ended && !parent.suspended && cell.suspended) cell.resume()
  })
}

const restart = (
  cell: ActorCell,
  failure: Failure,
  options: Extract<Directive, { readonly _tag: "Restart" }>,
): void => {
  const { runtime } = cell
  cell.suspend()
  cell.restarts ??= new Restarts()
  const delay = cell.restarts.next(options, failure, runtime)
  runtime.fork(
    Effect.flatMap(delay, (millis) => {
      if (!cell.suspended) return Effect.void
      if (millis === null) {
        if (options.exhausted === "stop") cell.stop("failed", Exit.failCause(failure.cause))
        else escalate(cell, failure)
        return Effect.void
      }
      const group = restartedWith(cell, options.siblings ?? "one-for-one")
      for (const each of group) each.suspend()
      return Effect.forEach(group.toReversed(), (each) => each.endIncarnation(failure), {
        discard: true,
      }).pipe(
        Effect.andThen(millis > 0 ? Effect.sleep(millis) : Effect.void),
        Effect.andThen(
          Effect.sync(() => {
            for (const each of group) each.begin(failure)
          }),
        ),
      )
    }),
  )
}

/** It and those that restart with it, of those that run. */
const restartedWith = (
  cell: ActorCell,
  siblings: NonNullable<RestartOptions["siblings"]>,
): ReadonlyArray<ActorCell> => {
  if (siblings === "one-for-one") return [cell]
  const group: Array<ActorCell> = []
  const from = siblings === "one-for-all" ? cell.family.first : cell
  for (let each: ActorCell | null = from; each !== null; each = each.behind) {
    if (each === cell || (!each.suspended && !each.ended)) group.push(each)
  }
  return group
}
