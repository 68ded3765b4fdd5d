/**
 * Profiles: virtual actors whose state is stored. `@(profile/ada)` is there whenever it is addressed. While
 * nobody does, it is not in memory.
 */
import { PersistentBehavior } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"
import { Profile } from "./protocols.ts"

export const profile: PersistentBehavior.PersistentBehavior<typeof Profile> = PersistentBehavior.make(
  Profile,
  {
    state: Schema.Struct({ points: Schema.Number }),
    initial: () => ({ points: 0 }),
    handlers: {
      // State in, next state out. The answer leaves when the state is stored.
      won: ({ points }, _, context) => {
        context.reply(points + 1)
        return { points: points + 1 }
      },
      points: (state, _, context) => {
        context.reply(state.points)
        return state
      },
    },
  },
)
