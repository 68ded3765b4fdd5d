/** What must not compile, and doesn't. Checked by the compiler alone: nothing here runs. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { AskError } from "../src/AskError.ts"
import * as ActorStream from "../src/ActorStream.ts"
import * as Behavior from "../src/Behavior.ts"
import type { ActorRef } from "../src/ActorRef.ts"
import type { ActorSystem } from "../src/ActorSystem.ts"
import { Greeter, GREETER, greeter } from "./support/greeter.ts"
import { OutOfTicks, TICKER, Ticker } from "./support/ticker.ts"

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

export const streams = (ref: ActorRef<typeof Ticker>, system: ActorSystem) => {
  const ticks: Stream.Stream<number, OutOfTicks | AskError> = ActorStream.ask(ref, "ticks", 1)
  void ticks
  // @ts-expect-error -- answered by a stream, not told
  ref.tell("ticks", 1)
  // @ts-expect-error -- nor asked
  void ref.ask("ticks", 1)
  // @ts-expect-error -- nor offered
  void ref.offer("ticks", 1)
  // @ts-expect-error -- asked, not answered by a stream
  void ActorStream.ask(ref, "ping", undefined)
  // @ts-expect-error -- told, not answered by a stream
  void ActorStream.ask(ref, "note", "")
  // @ts-expect-error -- another message's payload
  void ActorStream.ask(ref, "ticks", "1")

  const others = { dates: () => Stream.empty, ping: () => "", note: () => undefined }
  void system.serve(Ticker, TICKER, { ...others, ticks: () => Stream.make(1) })
  void system.serve(Ticker, TICKER, { ...others, ticks: (n) => Stream.fail(new OutOfTicks({ after: n })) })
  // @ts-expect-error -- one number is no stream of them
  void system.serve(Ticker, TICKER, { ...others, ticks: () => 1 })
  // @ts-expect-error -- the elements are no strings
  void system.serve(Ticker, TICKER, { ...others, ticks: () => Stream.make("1") })
  // @ts-expect-error -- the error is not the protocol's
  void system.serve(Ticker, TICKER, { ...others, ticks: () => Stream.fail("no") })

  // What the source needs, the actor needs.
  class Clockwork extends Context.Service<Clockwork, number>()("Clockwork") {}
  const behavior = Behavior.make(Ticker, { ...others, ticks: () => Stream.fromEffect(Clockwork) })
  const needs: Behavior.Behavior<typeof Ticker, Clockwork> = behavior
  // @ts-expect-error -- it needs a service
  const none: Behavior.Behavior<typeof Ticker> = behavior
  void [needs, none]
}
