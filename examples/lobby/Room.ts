/** A room of the lobby: players sit in it and guess its number. It has a bug: a guess of 0 breaks it. */
import { type Address, Behavior, Signal } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import { profileOf } from "./names.ts"
import { type News, NotSeated, Player, Profile, Room, RoomFull } from "./protocols.ts"

export const room = (seats: number): Behavior.Behavior<typeof Room> => {
  // What is outside of `setup` outlives a restart: the players keep their seats.
  const players = new Set<Address.Address>()

  // What is inside begins anew with each: the round.
  return Behavior.setup(Room, (context) => {
    let secret = Math.ceil(Math.random() * 100)
    const readers = new Set<(news: typeof News.Type) => void>()
    const tellAll = (news: typeof News.Type): void => {
      for (const player of players) context.ref(Player, player).tell("news", news)
      for (const read of readers) read(news)
    }
    for (const address of players) context.watch({ address })

    return {
      join: (_, { sender }) => {
        if (sender !== null && !players.has(sender)) {
          if (players.size === seats) throw new RoomFull({ seats })
          tellAll({ _tag: "SatDown", player: sender })
          players.add(sender)
          context.watch({ address: sender })
        }
        return [...players]
      },
      guess: (number, { sender }) => {
        if (sender === null || !players.has(sender)) throw new NotSeated()
        if (number === 0) throw new Error("nobody has thought of zero")
        if (number !== secret) return number < secret ? "higher" : "lower"
        return Effect.gen(function* () {
          const points = yield* context.ref(Profile, profileOf(sender)).ask("won", undefined)
          tellAll({ _tag: "Won", player: sender, secret, points })
          secret = Math.ceil(Math.random() * 100)
          return "right" as const
        }).pipe(Effect.orDie) // Without its profile a win is the room's failure.
      },
      feed: () => async (emit, over) => {
        const read = (news: typeof News.Type): void => void emit(news)
        readers.add(read)
        await over // Its reader had enough, or is gone; or the room is restarted.
        readers.delete(read)
      },

      // Over the hub: when the player's connection did not come back within the grace period.
      [Signal.terminated]: ({ address, reason }) => {
        players.delete(address)
        tellAll({ _tag: "Left", player: address, reason })
      },
      [Signal.postRestart]: () => tellAll({ _tag: "RoundBegan" }),
    }
  })
}
