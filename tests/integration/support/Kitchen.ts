/** An actor that takes orders. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

export const Kitchen = Protocol.make("kitchen", {
  order: Protocol.tell({ payload: Schema.Finite }),
  /** How many orders this process was given. */
  left: Protocol.ask({ payload: Schema.Null, success: Schema.Finite }),
})
