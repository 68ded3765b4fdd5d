/**
 * A Node process with sensors, each an actor with a connection and a gateway of its own.
 * `sensors.ts HOST SITE COUNT`: they are `@(sensor/SITE/1)` and so on.
 */
import { Address } from "@signal-hub/actor-core"
import { connect, type Hub } from "@signal-hub/cloudflare-transport/client"
import { PRESENT, READINGS, Sensor } from "./protocols.ts"

/** Seconds that a sensor whose connection is lost is waited for. */
const GRACE = 2
/** Milliseconds between two readings. */
const PERIOD = 500

const start = async (host: string, identity: Address.Address): Promise<Hub> => {
  const hub = await connect(`ws://${host}/gateway`, {
    identity,
    sessionExpirySeconds: GRACE,
    // It is patient, from the first attempt on.
    waitOnFirstConnect: true,
  })
  let celsius = 18 + Math.random() * 8
  const measuring = setInterval(() => {
    celsius += Math.random() - 0.5
    // One that is lost is followed by the next.
    hub.publish(READINGS, "reading", celsius).catch(() => {})
  }, PERIOD)
  hub.onState(({ status }) => {
    if (status === "disconnected" || status === "superseded") clearInterval(measuring)
  })
  await hub.serve(Sensor, { retire: () => void hub.close() })
  await hub.subscribe(PRESENT).ready
  return hub
}

const [host, site, count] = process.argv.slice(2) as [string, string, string]
const addresses = Array.from({ length: Number(count) }, (_, i) => Address.make("sensor", site, `${i + 1}`))
const hubs = await Promise.all(addresses.map((address) => start(host, address)))
process.send?.(`${hubs.length} sensors measure`)
process.once("message", () => {
  void Promise.all(hubs.map((hub) => hub.close())).then(() => process.disconnect())
})
