/**
 * `npm run example:dashboard`: a page in Chromium that watches many actors, each behind a gateway of its own,
 * in embedded workerd. Sensors come, one is retired by a click, a process with many is killed, gateway and
 * topics are evicted; it ends by itself. `-- --screenshot FILE` writes what the page showed at the end.
 */
import { join } from "node:path"
import { parseArgs } from "node:util"
import { createTestHarness } from "wrangler"
import { Cast } from "../Cast.ts"
import { PRESENT, READINGS } from "./protocols.ts"

// Wrangler would ask the internet where it is; nobody here wants to know.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false"

const file = (name: string): string => join(import.meta.dirname, name)
const { values } = parseArgs({ options: { screenshot: { type: "string" } } })
await using cast = new Cast()

cast.step("Gateways start, in embedded workerd")
const server = createTestHarness({ workers: [{ configPath: file("../hub/wrangler.jsonc") }] })
cast.atEnd(() => server.close())
const { host } = await server.listen().then(({ url }) => url)
cast.say("gateways", `serve ws://${host}/gateway`)
const start = (site: string, count: number) =>
  cast.process(site, file("sensors.ts"), host, site, String(count))

cast.step("In the north are eight sensors. A dashboard opens in Chromium, then eight come in the south")
await start("north", 8)
const page = await cast.page("dashboard", file("page/main.ts"), { host })
await cast.heard("dashboard", "sees 8 here")
const south = await start("south", 8)
await cast.heard("dashboard", "sees 16 here")

cast.step("Somebody clicks: one of the north retires")
const card = (address: string) => page.locator(`[data-address="${address}"]`)
await card("@(sensor/north/3)").getByRole("button").click()
await cast.heard("dashboard", "sees 15 here, 1 unregistered")

cast.step("The process of the south is killed. When the grace period is over, the dashboard hears of each")
south.kill("SIGKILL")
await cast.heard("dashboard", "sees 7 here, 1 unregistered, 8 disconnected")

cast.step("The dashboard's gateway and both topics are evicted; then four sensors come in the east")
const evict = (className: string, name: string) =>
  server.getWorker().evictDurableObject(className, { name, webSockets: "hibernate" })
await evict("SessionGateway", "@(dashboard/main)")
await evict("TopicHub", PRESENT)
await evict("TopicHub", READINGS)
cast.say("gateways", "have lost their memory")
await start("east", 4)
await cast.heard("dashboard", "sees 11 here, 1 unregistered, 8 disconnected")

cast.step("What they measure is read")
for (const n of [1, 2, 3, 4]) {
  const reading = await card(`@(sensor/east/${n})`).getByText("°C").textContent()
  cast.say("dashboard", `shows ${reading} of the east, sensor ${n}`)
}
if (values.screenshot !== undefined) {
  await page.screenshot({ path: values.screenshot, fullPage: true })
  cast.say("dashboard", `is to be seen in ${values.screenshot}`)
}

cast.step("The page shows who is there, and nobody else")
const shown = await page.locator('[data-state="here"] h2').allTextContents()
const expected = [...[1, 2, 4, 5, 6, 7, 8].map((n) => `north ${n}`), ...[1, 2, 3, 4].map((n) => `east ${n}`)]
cast.say("dashboard", `shows ${shown.join(", ")}`)
if (shown.toSorted().join() !== expected.toSorted().join()) {
  throw new Error("the dashboard does not show who is there", { cause: shown })
}
