/** A protocol with a tell and an ask, for tests about what actors do with messages. */
import * as Schema from "effect/Schema"
import * as Protocol from "../../src/Protocol.ts"

export class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { limit: Schema.Number }) {}

export const Counter = Protocol.make("counter", {
  add: Protocol.tell({ payload: Schema.Number }),
  get: Protocol.ask({ success: Schema.Number }),
  take: Protocol.ask({ payload: Schema.Number, success: Schema.Number, error: TooMuch }),
})
