/** A process of a program that serves the kitchen, or is only connected; it tells who started it of all it does. */
import { setTimeout as sleep } from "node:timers/promises"
import { ActorSystem, type Address } from "@signal-hub/actor-core"
import { connect, HubClient } from "@signal-hub/cloudflare-transport/client"
import { filePersistence } from "@signal-hub/cloudflare-transport/client/file"
import * as Effect from "effect/Effect"
import { Kitchen } from "./Kitchen.ts"

interface Given {
  readonly url: string
  readonly api: "promise" | "effect"
  readonly at: Address.Address
  readonly serves: boolean
  readonly file?: string
}

/** Milliseconds that an application may need until it serves: its code is loaded meanwhile. */
const LATE = 300

const { api, at, file, serves, url } = JSON.parse(process.env.KITCHEN!) as Given
const say = (message: object): void => void process.send!(message)
const options = { identity: at, ...(file !== undefined && { persistence: filePersistence(file) }) }

let count = 0
const handlers = {
  order: (n: number): void => {
    count++
    say({ order: n })
  },
  left: (): number => count,
}

const withPromises = async (): Promise<void> => {
  const hub = await connect(url, options)
  await sleep(LATE)
  if (serves) await hub.serve(Kitchen, handlers)
}

const withEffects = Effect.gen(function* () {
  const client = yield* HubClient.make({ url, ...options })
  yield* client.ready
  const system = yield* ActorSystem.make({ transport: client.transport })
  yield* Effect.sleep(LATE)
  if (serves) yield* system.serve(Kitchen, at, handlers)
  yield* Effect.sync(() => say({ isReady: true }))
  return yield* Effect.never
})

try {
  if (api === "promise") {
    await withPromises()
    say({ isReady: true })
  } else await Effect.runPromise(Effect.scoped(withEffects))
} catch (error) {
  say({ error: String(error) })
}
