/** A worker, the same in Node and in a browser: registers, does what it is assigned, says what it does. */
import { Address } from "@signal-hub/actor-core"
import { connect, type Hub } from "@signal-hub/cloudflare-transport/client"
import { primesIn } from "./primes.ts"
import { Coordinator, Worker } from "./protocols.ts"

/** Seconds that a worker whose connection is lost is waited for. */
const GRACE = 2

/** Works for the coordinator until the connection ends for good. `say` gets a line an event. */
export const work = async (
  host: string,
  name: string,
  coordinator: Address.Address,
  say: (line: string) => void,
): Promise<Hub> => {
  const identity = Address.make("worker", name)
  const hub = await connect(`ws://${host}/gateway`, {
    identity,
    sessionExpirySeconds: GRACE,
    // It is patient, from the first attempt on.
    waitOnFirstConnect: true,
  })
  await hub.serve(Worker, {
    assign: ({ from, to }) => {
      say(`works on ${from} to ${to}`)
      return primesIn(from, to)
    },
  })

  // A session that is new holds nothing of what was assigned before.
  let registered: string | null = null
  const register = async (): Promise<void> => {
    if (hub.sessionId === registered) return
    registered = hub.sessionId
    await hub.actor(Coordinator, coordinator).ask("register", undefined)
    say("is registered")
  }
  hub.onState((state) => {
    if (state.status === "superseded") say(`was told: ${state.cause}; closed ${state.code}, stays away`)
    if (state.status !== "connected") return
    register().catch((error: unknown) => say(`could not register: ${String(error)}`))
  })
  await register()
  return hub
}
