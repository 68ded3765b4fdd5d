/** A life that fails, made small: without the steps and faults that it fails without, too. */
import type { Outcome, Plan } from "./entry.ts"

/** Lives that are tried at most. */
const MOST_TRIES = 400

export interface Shrunk {
  readonly plan: Plan
  /** Which of the steps are left, by their places in the whole plan. */
  readonly only: ReadonlyArray<number>
  readonly tries: number
}

const withSteps = (plan: Plan, steps: Plan["steps"]): Plan => ({ ...plan, steps })

const withoutFault = (plan: Plan, name: string): Plan => ({ ...plan, faults: { ...plan.faults, [name]: 0 } })

/** Fails in the same way: by the same promise. */
export const shrink = async (
  whole: Plan,
  invariant: string,
  live: (plan: Plan) => Promise<Outcome>,
): Promise<Shrunk> => {
  let tries = 0
  let plan = whole
  const fails = async (smaller: Plan): Promise<boolean> => {
    if (tries >= MOST_TRIES) return false
    tries++
    return (await live(smaller)).invariant === invariant
  }
  for (let size = plan.steps.length >> 1; size > 0; size >>= 1) {
    for (let at = plan.steps.length - size; at > -size; at -= size) {
      const from = Math.max(0, at)
      const smaller = withSteps(plan, plan.steps.toSpliced(from, at + size - from))
      if (await fails(smaller)) plan = smaller
    }
  }
  for (const name of Object.keys(plan.faults)) {
    const smaller = withoutFault(plan, name)
    if (await fails(smaller)) plan = smaller
  }
  return { plan, only: plan.steps.map((step) => whole.steps.indexOf(step)), tries }
}
