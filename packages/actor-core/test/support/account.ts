/** Persistent actors for tests: an account, and a buyer that asks it. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Continuation from "../../src/Continuation.ts"
import * as Persistence from "../../src/Persistence.ts"
import * as PersistentBehavior from "../../src/PersistentBehavior.ts"
import * as Protocol from "../../src/Protocol.ts"

export class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Number }) {}

export const Account = Protocol.make("account", {
  deposit: Protocol.tell({ payload: Schema.Number }),
  balance: Protocol.ask({ success: Schema.Number }),
  withdraw: Protocol.ask({ payload: Schema.Number, success: Schema.Number, error: Overdrawn }),
  crash: Protocol.tell({ payload: Schema.Number }),
  close: Protocol.tell(),
  leave: Protocol.tell(),
})

export const account = PersistentBehavior.make(Account, {
  state: Schema.Struct({ balance: Schema.Number }),
  initial: () => ({ balance: 0 }),
  handlers: {
    deposit: ({ balance }, amount) => ({ balance: balance + amount }),
    balance: (state, _, context) => {
      context.reply(state.balance)
      return state
    },
    withdraw: ({ balance }, amount, context) => {
      if (amount > balance) return Effect.fail(new Overdrawn({ balance }))
      context.reply(balance - amount)
      return { balance: balance - amount }
    },
    crash: (_, amount) => {
      throw new Error(`crashed at ${amount}`)
    },
    close: (state, _, context) => {
      context.forget()
      return state
    },
    leave: (state, _, context) => {
      context.stop()
      return state
    },
  },
})

/** Buys from an account: its own ask waits until the account has answered. */
export const Buyer = Protocol.make("buyer", {
  buy: Protocol.ask({ payload: Schema.Number, success: Schema.String }),
  paid: Continuation.message(
    Account,
    "withdraw",
    Schema.Struct({ price: Schema.Number, reply: Schema.String }),
  ),
  bought: Protocol.ask({ success: Schema.Array(Schema.Number) }),
})

export const buyer = (from: `@(${string}/${string})`, timeout?: number) =>
  PersistentBehavior.make(Buyer, {
    state: Schema.Array(Schema.Number),
    initial: () => [],
    handlers: {
      buy: (bought, price, context) => {
        const about = { price, reply: context.postpone() }
        context.askToSelf(
          context.ref(Account, from),
          "withdraw",
          price,
          "paid",
          about,
          timeout === undefined ? {} : { timeout },
        )
        return bought
      },
      paid: (bought, { about, answer }, context) => {
        const said =
          answer._tag === "Success"
            ? `left: ${answer.value}`
            : answer._tag === "Failure"
              ? `only: ${answer.error.balance}`
              : `refused: ${answer.code}`
        context.answer(about.reply, "buy", Result.succeed(said))
        return answer._tag === "Success" ? [...bought, about.price] : bought
      },
      bought: (bought, _, context) => {
        context.reply(bought)
        return bought
      },
    },
  })

/** A store that does what the test says before it does what it is for. */
export const makeScripted = Effect.gen(function* () {
  const store = yield* Persistence.makeInMemory
  const script: {
    before: (
      operation: "load" | "save" | "delete",
      address: string,
    ) => Effect.Effect<void, Persistence.PersistenceError>
    readonly log: Array<string>
  } = { before: () => Effect.void, log: [] }
  const scripted: Persistence.Persistence = {
    load: (address) => {
      script.log.push(`load ${address}`)
      return Effect.andThen(script.before("load", address), store.load(address))
    },
    save: (address, state, version) => {
      script.log.push(`save ${address} ${JSON.stringify(state)}`)
      return Effect.andThen(script.before("save", address), store.save(address, state, version))
    },
    delete: (address, version) => {
      script.log.push(`delete ${address}`)
      return Effect.andThen(script.before("delete", address), store.delete(address, version))
    },
  }
  return { store, scripted, script }
})

export const unavailable = (address: `@(${string}/${string})`, operation: "load" | "save" | "delete") =>
  new Persistence.PersistenceError({ address, operation, message: "the store is away" })
