/** What coordinator, workers and customers say to one another. */
import { AddressSchema, Continuation, Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

/** A task: how many primes are there from `from` up to, and not including, `to`? */
export const Task = Schema.Struct({ from: Schema.Number, to: Schema.Number })

/** A worker: does one task at a time. */
export const Worker = Protocol.make("worker", {
  assign: Protocol.ask({ payload: Task, success: Schema.Number }),
})

/** Who hands in tasks hears what becomes of them. */
export const Customer = Protocol.make("customer", {
  /** The task waits again, as its worker went away before it was done. */
  returned: Protocol.tell({ payload: Schema.Struct({ task: Task, worker: AddressSchema }) }),
  finished: Protocol.tell(),
})

/** Which task of the queue, and which attempt at it. */
export const Assignment = Schema.Struct({ index: Schema.Number, attempt: Schema.Number })

export const Status = Schema.Struct({
  waiting: Schema.Number,
  assigned: Schema.Number,
  done: Schema.Number,
  workers: Schema.Array(AddressSchema),
  /** Of all tasks that are done. */
  primes: Schema.Number,
})

/** The coordinator of a queue of tasks. */
export const Coordinator = Protocol.make("coordinator", {
  /** A worker is new, and idle. Tasks come by `assign`. */
  register: Protocol.ask(),
  submit: Protocol.ask({ payload: Schema.Array(Task) }),
  /** The end of an assignment: the worker's result, or why there is none. */
  complete: Continuation.message(Worker, "assign", Assignment),
  status: Protocol.ask({ success: Status }),
})
