/**
 * `npm run example:tasks`: a queue of tasks. Its coordinator is a durable actor in embedded workerd; workers
 * sit in tabs of Chromium and in Node processes, each behind a gateway of its own. A worker is killed, the
 * coordinator is evicted, a tab is taken over; each task is done once. It ends by itself.
 */
import { join } from "node:path"
import { connect } from "@signal-hub/cloudflare-transport/client"
import { createTestHarness } from "wrangler"
import { Cast } from "../Cast.ts"
import { Coordinator, Customer, type Task } from "./protocols.ts"

// Wrangler would ask the internet where it is; nobody here wants to know.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false"

const COORDINATOR = "@(coordinator/primes)"
const CUSTOMER = "@(customer/script)"
/** How many numbers a task is. */
const SIZE = 250_000

const file = (name: string): string => join(import.meta.dirname, name)
await using cast = new Cast()

cast.step("Gateways start, in embedded workerd")
const server = createTestHarness({ workers: [{ configPath: file("wrangler.jsonc") }] })
cast.atEnd(() => server.close())
const { host } = await server.listen().then(({ url }) => url)
cast.say("gateways", `serve ws://${host}/gateway`)

cast.step("Ada and Grace work in tabs of Chromium, Linus and Margaret in Node processes")
const tab = (who: string, name = who) =>
  cast.page(who, file("page.ts"), { host, name, coordinator: COORDINATOR })
const start = (name: string) => cast.process(name, file("process.ts"), host, name, COORDINATOR)
await tab("ada")
await tab("grace")
const linus = await start("linus")
await start("margaret")

const hub = await connect(`ws://${host}/gateway`, { identity: CUSTOMER })
cast.atEnd(() => hub.close())
await hub.serve(Customer, {
  returned: ({ task, worker }) => cast.say("customer", `hears that ${worker} left ${task.from}`),
  finished: () => cast.say("customer", "hears that all is done"),
})
const coordinator = hub.actor(Coordinator, COORDINATOR)
const tasks = (first: number, last: number): ReadonlyArray<typeof Task.Type> =>
  Array.from({ length: last - first + 1 }, (_, i) => ({
    from: (first + i - 1) * SIZE,
    to: (first + i) * SIZE,
  }))

cast.step("Twenty tasks are handed in. While they are done Linus is killed, and the coordinator evicted")
await coordinator.ask("submit", tasks(1, 20))
await cast.heard("linus", "works on")
linus.kill("SIGKILL")
await server.getWorker().evictDurableObject("Coordinator", { name: "primes" })
cast.say("coordinator", "has lost its memory")
await Promise.all([
  cast.heard("customer", "hears that @(worker/linus) left"),
  cast.heard("customer", "hears that all is done"),
])

cast.step("Twenty more. While they are done another tab becomes Ada")
await coordinator.ask("submit", tasks(21, 40))
await tab("ada again", "ada")
await cast.heard("ada", "stays away")
await cast.heard("customer", "hears that all is done")

cast.step("Each task is done, and counted once")
const status = await coordinator.ask("status", undefined)
cast.say("customer", `${status.done} tasks are done, by now for ${status.workers.join(", ")}`)
cast.say("customer", `there are ${status.primes} primes below ${40 * SIZE}`)
/** π(10,000,000), as the tables have it. */
if (status.primes !== 664_579) throw new Error("a task was lost, or counted twice", { cause: status })
