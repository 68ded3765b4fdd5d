/** The Node process of the lobby: an actor system whose transport is a hub. `server.ts URL` */
import { ActorSystem, Persistence, VirtualActors } from "@signal-hub/actor-core"
import { HubClient } from "@signal-hub/cloudflare-transport/client"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { lobby } from "./Lobby.ts"
import { profile } from "./Profile.ts"

const [url] = process.argv.slice(2) as [string]
const say = (line: string): void => void process.send?.(line)

const program = Effect.gen(function* () {
  const hub = yield* HubClient
  const system = yield* ActorSystem.make({ transport: hub.transport })
  system.events.subscribe("ActorRestarted", ({ address, failure }) =>
    say(`${address} failed: ${String(failure.error)}. It is restarted`),
  )
  system.events.subscribe("ActorActivated", ({ address }) => say(`${address} is activated`))
  system.events.subscribe("ActorPassivated", ({ address }) => say(`${address} is passivated`))
  system.events.subscribe("ActorStopped", ({ address, reason }) => say(`${address} is ${reason}`))

  const profiles = yield* VirtualActors.make(system, profile, { passivateAfter: "1 second" })
  yield* system.spawn(lobby(profiles), { address: "@(lobby/main)", register: true })
  say("is open at @(lobby/main)")
  yield* Effect.callback<void>((end) => void process.once("message", () => end(Effect.void)))
}).pipe(
  Effect.scoped,
  Effect.provide([HubClient.layer({ url, identity: "@(lobby/main)" }), Persistence.layerInMemory]),
  // Failures are logged; here the story tells of them.
  Effect.provide(Logger.layer([])),
)

await Effect.runPromise(program)
process.disconnect()
