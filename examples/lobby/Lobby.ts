/** The lobby: opens the rooms and supervises them, and makes known the profile of each who comes in. */
import { Behavior, Supervision, type VirtualActors } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import { nameOf, profileOf } from "./names.ts"
import { Lobby, type Profile } from "./protocols.ts"
import { room } from "./Room.ts"

/** A room that fails begins anew. One that fails more than three times a minute takes the lobby with it. */
const supervision = Supervision.restart({ intensity: { restarts: 3, within: "1 minute" } })

export const lobby = (
  profiles: VirtualActors.VirtualActors<typeof Profile>,
): Behavior.Behavior<typeof Lobby> =>
  Behavior.setup(Lobby, (context) => {
    const rooms = ["red", "blue"].map((name) => context.spawn(room(3), { name, supervision, register: true }))
    const known = new Set<string>()
    return {
      enter: (_, { sender }) =>
        Effect.gen(function* () {
          // The hub says who the sender is: a visitor without an address has no profile.
          if (sender === null) return yield* Effect.die(new Error("a visitor without an address"))
          const name = nameOf(sender)
          if (!known.has(name)) {
            // Held in the lobby's scope: until it stops or is restarted.
            yield* profiles.register(name)
            known.add(name)
          }
          return { rooms: rooms.map(({ address }) => address), profile: profileOf(sender) }
        }).pipe(Effect.orDie),
    }
  })
