/** The durable actors of the tests: an account, a buyer that asks it, and one with timers and watches. */
import { Address, Continuation, Envelope, PersistentBehavior, Protocol, Signal } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { DurableObject } from "cloudflare:workers"
import { envelope as anEnvelope } from "../../support/envelope.ts"
import type { ActorRpc, Batch, Outcome, Served } from "../../../src/delivery/ActorRpc.ts"
import { DurableActor, DurableActorHost } from "../../../src/durable/DurableActor.ts"
import { namespaces, type Reach } from "../../../src/durable/Reach.ts"
import type { DurableActorOptions } from "../../../src/durable/DurableActorOptions.ts"

export class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Number }) {}

export const Account = Protocol.make("account", {
  deposit: Protocol.tell({ payload: Schema.Number }),
  balance: Protocol.ask({ success: Schema.Number }),
  withdraw: Protocol.ask({ payload: Schema.Number, success: Schema.Number, error: Overdrawn }),
  slowly: Protocol.ask({ payload: Schema.Number, success: Schema.Number }),
  fail: Protocol.ask({ success: Schema.Number }),
  relay: Protocol.ask({ payload: Schema.String, success: Schema.String }),
  close: Protocol.tell(),
})

const account = PersistentBehavior.make(Account, {
  state: Schema.Number,
  initial: () => 0,
  handlers: {
    deposit: (balance, amount) => balance + amount,
    balance: (balance, _, context) => {
      context.reply(balance)
      return balance
    },
    withdraw: (balance, amount, context) => {
      if (amount > balance) return Effect.fail(new Overdrawn({ balance }))
      context.reply(balance - amount)
      return balance - amount
    },
    slowly: (balance, amount, context) =>
      Effect.map(Effect.sleep(200), () => {
        context.reply(balance + amount)
        return balance + amount
      }),
    fail: (balance, _, context) => {
      context.reply(balance)
      throw new Error("after the answer")
    },
    relay: (balance, name, context) => {
      const to = Address.make("account", name)
      if (context.self.address === to) context.reply(to)
      else context.forward(context.ref(Account, to))
      return balance
    },
    close: (balance, _, context) => {
      context.forget()
      return balance
    },
  },
})

export const Buyer = Protocol.make("buyer", {
  buy: Protocol.ask({ payload: Schema.Number, success: Schema.String }),
  paid: Continuation.message(
    Account,
    "withdraw",
    Schema.Struct({ price: Schema.Number, reply: Schema.String }),
  ),
  bought: Protocol.ask({ success: Schema.Array(Schema.Number) }),
  direct: Protocol.ask({ success: Schema.Number }),
  pay: Protocol.tell({
    payload: Schema.Struct({ amount: Schema.Number, times: Schema.Number, fails: Schema.Boolean }),
  }),
})

/** Who sells to the buyer of this name: an account of the same name. */
const seller = (self: Address.Address): Address.Address =>
  Address.make("account", ...Address.segments(self).slice(1))

const buyer = PersistentBehavior.make(Buyer, {
  state: Schema.Array(Schema.Number),
  initial: () => [],
  handlers: {
    buy: (bought, price, context) => {
      const to = context.ref(Account, seller(context.self.address))
      context.askToSelf(
        to,
        "withdraw",
        price,
        "paid",
        { price, reply: context.postpone() },
        { timeout: "5 seconds" },
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
    direct: (bought, _, context) =>
      context
        .ref(Account, seller(context.self.address))
        .ask("balance", undefined)
        .pipe(
          Effect.orDie,
          Effect.map((balance) => {
            context.reply(balance)
            return bought
          }),
        ),
    pay: (bought, { amount, fails, times }, context) => {
      const to = context.ref(Account, seller(context.self.address))
      for (let i = 0; i < times; i++) to.tell("deposit", amount)
      if (fails) throw new Error("after what it sent")
      return bought
    },
  },
})

export const Clock = Protocol.make("clock", {
  start: Protocol.tell({
    payload: Schema.Struct({ key: Schema.String, delay: Schema.Number, every: Schema.Boolean }),
  }),
  cancel: Protocol.tell({ payload: Schema.String }),
  idle: Protocol.tell({ payload: Schema.Number }),
  watch: Protocol.tell({ payload: Schema.String }),
  tick: Protocol.own({ payload: Schema.String }),
  log: Protocol.ask({ success: Schema.Array(Schema.String) }),
})

const clock = PersistentBehavior.make(Clock, {
  state: Schema.Array(Schema.String),
  initial: () => [],
  handlers: {
    start: (log, { delay, every, key }, { timers }) => {
      if (every) timers.every(key, delay, "tick", key)
      else timers.once(key, delay, "tick", key)
      return log
    },
    cancel: (log, key, { timers }) => [...log, `${key} ${timers.cancel(key)}`],
    idle: (log, millis, context) => {
      context.setReceiveTimeout(millis)
      return log
    },
    watch: (log, account, context) => {
      context.watch(context.ref(Account, Address.make("account", account)))
      return log
    },
    tick: (log, key) => [...log, key],
    log: (log, _, context) => {
      context.reply(log)
      return log
    },
    [Signal.receiveTimeout]: (log) => [...log, "idle"],
    [Signal.terminated]: (log, { address, reason }) => [...log, `${address} ${reason}`],
  },
})

/** What the tests play: homes of clients. */
export const users = new Map<Address.Address, ReturnType<Reach>>()

/**
 * The network between the objects: a call may be lost on its way there, or its result on its way back.
 * The test says which, by their number.
 */
export const network = {
  calls: 0,
  losesRequest: -1,
  losesResult: -1,
}

const reach = (env: Cloudflare.Env): Reach => {
  const objects = namespaces({ account: env.ACCOUNT, buyer: env.BUYER, clock: env.CLOCK })
  return (address) => {
    const stub = users.get(address) ?? objects(address)
    if (stub === undefined) return undefined
    return {
      deliver: async (sent) => {
        const call = network.calls++
        if (call === network.losesRequest) throw new Error("the request is lost")
        const outcomes = await stub.deliver(sent)
        if (call === network.losesResult) throw new Error("the result is lost")
        return outcomes
      },
      watch: (target, watcher) => stub.watch(target, watcher),
      unwatch: (target, watcher) => stub.unwatch(target, watcher),
    }
  }
}

/** An account that reaches nobody. */
export const accountOptions: DurableActorOptions = { type: "account", behavior: account }

export class AccountActor extends DurableActor<Cloudflare.Env> {
  protected override actor(env: Cloudflare.Env): DurableActorOptions {
    return { type: "account", behavior: account, reach: reach(env) }
  }
}

export class BuyerActor extends DurableActor<Cloudflare.Env> {
  protected override actor(env: Cloudflare.Env): DurableActorOptions {
    return { type: "buyer", behavior: buyer, reach: reach(env) }
  }
}

/** An object with a class of its own, which hosts an actor beside what else it does. */
export class ClockActor extends DurableObject<Cloudflare.Env> implements Served<ActorRpc> {
  readonly #actor: DurableActorHost

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env)
    this.#actor = new DurableActorHost(ctx, { type: "clock", behavior: clock, reach: reach(env) })
  }

  deliver(sent: Batch): ReadonlyArray<Outcome> | Promise<ReadonlyArray<Outcome>> {
    return this.#actor.deliver(sent)
  }

  request(asked: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#actor.request(asked, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.#actor.watch(target, watcher)
  }

  unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    return this.#actor.unwatch(target, watcher)
  }

  override alarm(): Promise<void> {
    return this.#actor.alarm()
  }
}

/** An envelope of a client to an actor. */
export const envelope: typeof anEnvelope = (to, type, payload, fields) =>
  anEnvelope(to, type, payload, { from: "@(user/ada)", timestamp: Date.now(), ...fields })

/** A call with these. */
export const batch = (...envelopes: ReadonlyArray<Envelope.Envelope>): Batch => ({
  caller: { home: "@(user/ada)", claims: null },
  deliveries: envelopes.map((one) =>
    one.pattern === "ask" && one.from !== ""
      ? { envelope: one, ask: { home: one.from, timeout: 30_000 } }
      : { envelope: one },
  ),
})
