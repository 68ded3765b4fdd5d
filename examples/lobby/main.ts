/**
 * `npm run example:lobby`: a small game lobby, on a hub in embedded workerd, through real sockets. Two
 * players sit in tabs of Chromium, one in a Node process, the rooms in another. A room fails, a page is
 * reloaded, a process is killed; it ends by itself.
 */
import { join } from "node:path"
import type { Address } from "@signal-hub/actor-core"
import { connect } from "@signal-hub/cloudflare-transport/client"
import { createTestHarness } from "wrangler"
import { Cast } from "../Cast.ts"
import { told } from "./player.ts"
import { Player, Profile, Room } from "./protocols.ts"

// Wrangler would ask the internet where it is; nobody here wants to know.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false"

const file = (name: string): string => join(import.meta.dirname, name)
await using cast = new Cast()

cast.step("A hub starts, in embedded workerd")
const server = createTestHarness({ workers: [{ configPath: file("../hub/wrangler.jsonc") }] })
cast.atEnd(() => server.close())
const { host } = await server.listen().then(({ url }) => url)
const url = `ws://${host}/ws`
cast.say("hub", `serves ${url}`)

cast.step("A lobby opens in a Node process: an actor for each room, supervised by the lobby's")
const lobby = await cast.process("lobby", file("server.ts"), url)

cast.step("Ada and Grace come in tabs of Chromium, Linus in a Node process")
const tab = (name: string) => cast.page(name, file("page.ts"), { hub: url, name })
const adasTab = await tab("ada")
const gracesTab = await tab("grace")
const linusProcess = await cast.process("linus", file("process.ts"), url, "linus")

// What the persons before the screens do, this script does, by address like everybody.
const hub = await connect(url)
cast.atEnd(() => hub.close())
const ada = hub.actor(Player, "@(player/ada)")
const grace = hub.actor(Player, "@(player/grace)")
const linus = hub.actor(Player, "@(player/linus)")
const profile = hub.actor(Profile, "@(profile/ada)")
const blue = "@(lobby/main/blue)"
const allHear = (text: string) => Promise.all(["ada", "grace", "linus"].map((who) => cast.heard(who, text)))

/** Reads a room's feed, a stream, until somebody has won. */
const lookOn = async (room: Address.Address): Promise<void> => {
  for await (const news of hub.actor(Room, room).stream("feed", undefined)) {
    cast.say("script", `reads: ${told(news)}`)
    if (news._tag === "Won") break
  }
}

cast.step("They sit down in the blue room, and Ada guesses its number. The script looks on")
const lookingOn = lookOn(blue)
for (const player of [ada, grace, linus]) await player.ask("sit", blue)
await Promise.all([cast.heard("ada", "linus sits"), cast.heard("grace", "linus sits")])
let [low, high] = [1, 100]
let hint: string | null = null
while (hint !== "right") {
  const number = Math.floor((low + high) / 2)
  hint = await ada.ask("guess", number)
  if (hint === "higher") low = number + 1
  else high = number - 1
}
await cast.heard("ada", ": right")
await allHear("ada got it")
await lookingOn
// The room told her profile, which is a virtual actor: nobody needs it any more.
await cast.heard("lobby", "@(profile/ada) is passivated")

cast.step("Her profile is asked for her points, and goes on from what is stored")
const points = await profile.ask("points", undefined)
cast.say("script", `asks @(profile/ada) and hears that she has ${points}`)

cast.step(
  "Linus makes the room fail. He hears that it did, the others that a round begins; all keep their seats",
)
await linus.ask("guess", 0)
await allHear("a new round begins")
await linus.ask("guess", 101)
await cast.heard("linus", "guesses 101")

cast.step("Ada reloads her page: within the grace period that is nobody's news")
await adasTab.reload()
await cast.heard("ada", "is @(player/ada)")
await ada.ask("sit", blue)

cast.step(
  "Linus' process is killed, Grace closes her tab. After 5 seconds the room hears of it, of each once",
)
linusProcess.kill("SIGKILL")
await gracesTab.close()
await Promise.all([cast.heard("ada", "linus has left"), cast.heard("ada", "grace has left")])
await ada.ask("guess", 101)
await cast.heard("ada", "guesses")

cast.step("The lobby closes: what it has spawned stops before it")
lobby.send("end")
await cast.heard("lobby", "@(lobby/main) is stopped")
