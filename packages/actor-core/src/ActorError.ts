/** What goes wrong with actors themselves. How an ask fails is in `AskError`. */
import * as Data from "effect/Data"
import type { Address } from "./Address.ts"
import type { Reason } from "./DeadLetters.ts"
import type { TerminatedReason } from "./Signal.ts"

/** Another actor of this system has the address. Choose another, or stop that one first. */
export class AddressInUse extends Data.TaggedError("AddressInUse")<{
  readonly address: Address
  readonly message: string
}> {}

/** An offered message was not taken, and why: the reason that it is a dead letter for. */
export class NotDelivered extends Data.TaggedError("NotDelivered")<{
  readonly address: Address
  readonly reason: Reason
  readonly message: string
}> {}

/** The actor put more aside than `stash` of its options allows. Thrown in the actor, which fails of it. */
export class StashFull extends Data.TaggedError("StashFull")<{
  readonly message: string
}> {}

/** The actor watched one that ended, and has no function for `Signal.terminated`. */
export class DeathPact extends Data.TaggedError("DeathPact")<{
  readonly address: Address
  readonly reason: TerminatedReason
  readonly message: string
}> {}

/** These actors had not stopped within the time limit: a handler or a finalizer of each does not end. */
export class ShutdownTimeout extends Data.TaggedError("ShutdownTimeout")<{
  readonly actors: ReadonlyArray<Address>
  readonly message: string
}> {}
