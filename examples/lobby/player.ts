/** A player, the same in Node and in a browser: says aloud what it does and hears. */
import { AskError } from "@signal-hub/actor-core"
import {
  type ActorHandle,
  connect,
  type ConnectOptions,
  type Hub,
} from "@signal-hub/cloudflare-transport/client"
import { nameOf } from "./names.ts"
import { Lobby, type News, Player, Room } from "./protocols.ts"

/** Seconds that the hub waits for a player whose connection is lost. */
const GRACE = 5

export const play = async (
  url: string,
  name: string,
  say: (line: string) => void,
  options: Pick<ConnectOptions, "persistence"> = {},
): Promise<Hub> => {
  const identity = `@(player/${name})` as const
  const hub = await connect(url, { identity, sessionExpirySeconds: GRACE, ...options })
  let room: ActorHandle<typeof Room> | undefined

  const player = await hub.serve(Player, {
    news: (news) => say(`hears: ${told(news)}`),
    sit: async (address) => {
      room = hub.actor(Room, address)
      const players = await room.ask("join", undefined)
      say(`sits in ${address} with ${players.map(nameOf).join(", ")}`)
    },
    guess: async (number) => {
      if (room === undefined) return null
      try {
        const hint = await room.ask("guess", number)
        say(`guesses ${number}: ${hint}`)
        return hint
      } catch (error) {
        if (!(error instanceof AskError.ActorFailed)) throw error
        say(`guesses ${number} and hears "${error.code}", and no word of why`)
        return null
      }
    },
  })

  const { rooms, profile } = await hub.actor(Lobby, "@(lobby/main)").ask("enter", undefined)
  say(`is ${player.address}, has the profile ${profile}, and sees ${rooms.map(nameOf).join(" and ")}`)
  return hub
}

/** The news in words. */
export const told = (news: typeof News.Type): string => {
  switch (news._tag) {
    case "SatDown":
      return `${nameOf(news.player)} sits down`
    case "Left":
      return `${nameOf(news.player)} has left (${news.reason})`
    case "RoundBegan":
      return "a new round begins"
    case "Won":
      return `${nameOf(news.player)} got it, ${news.secret}, and has ${news.points} now`
  }
}
