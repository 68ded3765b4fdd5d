/** A durable actor for tests through a real server: it keeps what it is told, and speaks to clients by itself. */
import { AddressSchema, Continuation, PersistentBehavior, Protocol, Signal } from "@signal-hub/actor-core"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Greeter } from "./Greeter.ts"

export const Ledger = Protocol.make("ledger", {
  put: Protocol.tell({ payload: Schema.Number }),
  /** All that was put, in the order in which it came. */
  all: Protocol.ask({ success: Schema.Array(Schema.Number) }),
  /** What it has put, one by one. */
  read: Protocol.stream({ success: Schema.Number }),
  /** Asks a client to greet somebody, and answers with what it said. */
  introduce: Protocol.ask({
    payload: Schema.Struct({ to: AddressSchema, name: Schema.String }),
    success: Schema.String,
  }),
  introduced: Continuation.message(Greeter, "greet", Schema.Struct({ reply: Schema.String })),
  /** Tells a client as many notes. */
  notify: Protocol.tell({ payload: Schema.Struct({ to: AddressSchema, times: Schema.Number }) }),
  /** From now on the end of this client is put, as -1. */
  watch: Protocol.ask({ payload: AddressSchema, success: Schema.Null }),
  fail: Protocol.ask({ success: Schema.Null }),
  /** Is never answered. */
  hang: Protocol.ask({ success: Schema.Null }),
  close: Protocol.tell(),
})

export const ledger = PersistentBehavior.make(Ledger, {
  state: Schema.Array(Schema.Number),
  initial: () => [],
  handlers: {
    put: (all, n) => [...all, n],
    all: (all, _, context) => {
      context.reply(all)
      return all
    },
    read: (all, _, context) => {
      context.reply(async (emit) => {
        for (const n of all) await emit(n)
      })
      return all
    },
    introduce: (all, { name, to }, context) => {
      const about = { reply: context.postpone() }
      context.askToSelf(context.ref(Greeter, to), "greet", { name }, "introduced", about)
      return all
    },
    introduced: (all, { about, answer }, context) => {
      const said = answer._tag === "Success" ? answer.value : answer._tag === "Refused" ? answer.code : "shy"
      context.answer(about.reply, "introduce", Result.succeed(said))
      return all
    },
    notify: (all, { times, to }, context) => {
      for (let n = 1; n <= times; n++) context.ref(Greeter, to).tell("note", { text: String(n) })
      return all
    },
    watch: (all, address, context) => {
      context.watch(context.ref(Greeter, address))
      context.reply(null)
      return all
    },
    fail: () => {
      throw new Error("secret of the inside")
    },
    hang: (all, _, context) => {
      context.postpone()
      return all
    },
    close: (all, _, context) => {
      context.forget()
      return all
    },
    [Signal.terminated]: (all) => [...all, -1],
  },
})
