/** What the actors of the demo say to one another. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

/** The typed error of `greet`: this greeter does not greet that name. */
export class Shy extends Schema.TaggedError<Shy>()("Shy", { name: Schema.String }) {}

export const Greeter = Protocol.make("greeter", {
  greet: Protocol.ask({
    payload: Schema.Struct({ name: Schema.String }),
    success: Schema.String,
    error: Shy,
  }),
  note: Protocol.tell({ payload: Schema.Struct({ text: Schema.String }) }),
})
