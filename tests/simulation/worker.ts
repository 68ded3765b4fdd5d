/** A worker process: lives what it is ordered to, with the module that it is given. */
import type * as Simulator from "./entry.ts"
import type { Order } from "./Pool.ts"

const { live, makePlan } = (await import(process.argv[2]!)) as typeof Simulator

const answer = async ({ again, seed, steps }: Order): Promise<void> => {
  const outcome = await live(makePlan(seed, steps), false)
  if (!again || outcome.invariant !== undefined) return void process.send!(outcome)
  const other = await live(makePlan(seed, steps), false)
  if (other.hash === outcome.hash) return void process.send!(outcome)
  const invariant = "one seed is one life"
  process.send!({ ...outcome, invariant, detail: `${outcome.hash}, then ${other.hash}` })
}

process.on("message", (order) => void answer(order as Order))
