/** What must not compile, and doesn't. Checked by the compiler alone: nothing here runs. */
import * as Effect from "effect/Effect"
import type { ActorRef } from "../src/ActorRef.ts"
import type { ActorSystem } from "../src/ActorSystem.ts"
import { Greeter, GREETER, greeter } from "./support/greeter.ts"

export const sender = (ref: ActorRef<typeof Greeter>) => {
  ref.tell("note", { text: "" })
  // @ts-expect-error -- no such message
  ref.tell("nope", { text: "" })
  // @ts-expect-error -- asked, not told
  ref.tell("greet", { name: "" })
  // @ts-expect-error -- told, not asked
  void ref.ask("note", { text: "" })
  // @ts-expect-error -- another message's payload
  void ref.ask("greet", { text: "" })
  // @ts-expect-error -- a number is asked for
  void ref.ask("count", "1")
}

export const server = (system: ActorSystem) => {
  void system.serve(Greeter, GREETER, greeter())
  // @ts-expect-error -- a handler is missing
  void system.serve(Greeter, GREETER, { greet: () => "", count: (n) => n, when: (date) => date })
  // @ts-expect-error -- no such message
  void system.serve(Greeter, GREETER, { ...greeter(), nope: () => "" })
  // @ts-expect-error -- the answer is no string
  void system.serve(Greeter, GREETER, { ...greeter(), greet: () => 1 })
  // @ts-expect-error -- the error is not the protocol's
  void system.serve(Greeter, GREETER, { ...greeter(), greet: () => Effect.fail("no") })
}
