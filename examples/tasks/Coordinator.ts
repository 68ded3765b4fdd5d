/**
 * The coordinator: a queue of tasks, and who does which. Its state is stored with each step, and an assignment
 * is an open ask that is stored too: it goes on where it was when its object is evicted.
 *
 * A task counts once. Whose worker goes away is assigned again, so it may be worked on twice; only what the
 * last assignment answers is taken.
 */
import {
  AddressSchema,
  type Address,
  type PersistentContext,
  PersistentBehavior,
  Signal,
} from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"
import { Coordinator, Customer, Task, Worker } from "./protocols.ts"

const Entry = Schema.Struct({
  task: Task,
  customer: AddressSchema,
  /** Who works on it. */
  worker: Schema.NullOr(AddressSchema),
  /** How often it was assigned. */
  attempt: Schema.Number,
  result: Schema.NullOr(Schema.Number),
})

const State = Schema.Struct({
  entries: Schema.Array(Entry),
  /** Workers without a task. */
  idle: Schema.Array(AddressSchema),
})
type State = typeof State.Type
type Context = PersistentContext<typeof Coordinator>

export const coordinator: PersistentBehavior.PersistentBehavior<typeof Coordinator> = PersistentBehavior.make(
  Coordinator,
  {
    state: State,
    initial: () => ({ entries: [], idle: [] }),
    handlers: {
      register: (state, _, context) => {
        context.reply()
        if (context.sender === null) return state
        context.watch({ address: context.sender })
        // A worker that is known has begun anew: what it was at is nobody's now.
        const { entries, idle } = without(state, context.sender, context)
        return assign({ entries, idle: [...idle, context.sender] }, context)
      },

      submit: (state, tasks, context) => {
        context.reply()
        const customer = context.sender
        if (customer === null) return state
        const added = tasks.map((task) => ({ task, customer, worker: null, attempt: 0, result: null }))
        return assign({ ...state, entries: [...state.entries, ...added] }, context)
      },

      complete: (state, { about: { index, attempt }, answer }, context) => {
        const entry = state.entries[index]
        // Somebody else was assigned to it meanwhile.
        if (entry === undefined || entry.worker === null || entry.attempt !== attempt) return state
        // Who did not answer is gone. It registers when it is back.
        if (answer._tag !== "Success") return assign(without(state, entry.worker, context), context)
        const done = { ...entry, worker: null, result: answer.value }
        const entries = state.entries.with(index, done)
        if (entries.every(({ customer, result }) => customer !== entry.customer || result !== null)) {
          context.ref(Customer, entry.customer).tell("finished", undefined)
        }
        return assign({ entries, idle: [...state.idle, entry.worker] }, context)
      },

      status: (state, _, context) => {
        const { entries, idle } = state
        const done = entries.filter(({ result }) => result !== null)
        const busy = entries.flatMap(({ worker }) => worker ?? [])
        context.reply({
          waiting: entries.length - done.length - busy.length,
          assigned: busy.length,
          done: done.length,
          workers: [...idle, ...busy],
          primes: done.reduce((sum, { result }) => sum + (result ?? 0), 0),
        })
        return state
      },

      // It said goodbye, or its connection did not come back within the grace period.
      [Signal.terminated]: (state, { address }, context) => assign(without(state, address, context), context),
    },
  },
)

/** Gives what waits to who is idle. */
const assign = ({ entries, idle }: State, context: Context): State => {
  const free = [...idle]
  const assigned = entries.map((entry, index) => {
    if (entry.worker !== null || entry.result !== null) return entry
    const worker = free.shift()
    if (worker === undefined) return entry
    const attempt = entry.attempt + 1
    context.askToSelf(context.ref(Worker, worker), "assign", entry.task, "complete", { index, attempt })
    return { ...entry, worker, attempt }
  })
  return { entries: assigned, idle: free }
}

/** Without this worker: what it was at waits again. */
const without = ({ entries, idle }: State, worker: Address.Address, context: Context): State => ({
  idle: idle.filter((address) => address !== worker),
  entries: entries.map((entry) => {
    if (entry.worker !== worker) return entry
    context.ref(Customer, entry.customer).tell("returned", { task: entry.task, worker })
    return { ...entry, worker: null }
  }),
})
