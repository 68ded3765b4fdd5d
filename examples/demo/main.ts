/**
 * `npm run demo`: the main job, on a hub in embedded workerd, through real sockets. Two Node processes
 * and a browser page talk by address, one loses its identity to another, the hub's object is evicted.
 */
import { join } from "node:path"
import { connect } from "@signal-hub/cloudflare-transport/client"
import { createTestHarness } from "wrangler"
import { Cast } from "../Cast.ts"
import { Greeter, Shy } from "./Greeter.ts"

// Wrangler would ask the internet where it is; nobody here wants to know.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = "false"

const file = (name: string): string => join(import.meta.dirname, name)
await using cast = new Cast()

cast.step("A hub starts, in embedded workerd")
const server = createTestHarness({
  workers: [{ configPath: file("../hub/wrangler.jsonc") }],
})
cast.atEnd(() => server.close())
const { url } = await server.listen()
const hubUrl = `ws://${url.host}/ws`
cast.say("hub", `serves ${hubUrl}`)

cast.step("Two Node processes and a page in Chromium register actors")
const start = (who: string, address: string) => cast.process(who, file("process.ts"), hubUrl, address)
await start("process 1", "@(node/greeter)")
await start("process 2", "@(node/helper)")
await cast.page("page", file("page.ts"), { hub: hubUrl })

const hub = await connect(hubUrl, { identity: "@(node/visitor)" })
cast.atEnd(() => hub.close())
const greeter = hub.actor(Greeter, "@(node/greeter)")
const page = hub.actor(Greeter, "@(browser/page)")

cast.step("A visitor finds them")
const { actors } = await hub.discover("*")
cast.say("visitor", `discovers ${actors.map(({ address }) => address).join(", ")}`)

cast.step("It tells, and asks")
greeter.tell("note", { text: "I am here" })
await cast.heard("process 1", "I am here")
cast.say("visitor", `asks process 1 and hears "${await greeter.ask("greet", { name: "Ada" })}"`)
cast.say("visitor", `asks the page and hears "${await page.ask("greet", { name: "Ada" })}"`)
const refusal = await greeter.ask("greet", { name: "Greta" }).catch((error: unknown) => error)
if (!(refusal instanceof Shy)) throw new Error("expected the typed error", { cause: refusal })
cast.say("visitor", `asks as Greta and gets the typed error ${refusal._tag} { name: "${refusal.name}" }`)

cast.step("It publishes on a topic, and broadcasts to all who are registered")
const { subscriberCount } = await hub.publish("news", "headline", "actors live in browsers")
cast.say("visitor", `published to ${subscriberCount} subscribers`)
const readers = ["process 1", "process 2", "page"]
await Promise.all(readers.map((who) => cast.heard(who, "actors live in browsers")))
const { deliveredCount } = await hub.broadcast("announcement", "the show goes on")
cast.say("visitor", `broadcast to ${deliveredCount} actors`)
await Promise.all(readers.map((who) => cast.heard(who, "the show goes on")))

cast.step("A third process takes over the identity of the first")
await start("process 3", "@(node/greeter)")
await cast.heard("process 1", "stays away")
cast.say("visitor", `asks the same address and hears "${await greeter.ask("greet", { name: "Grace" })}"`)

cast.step("The hub's object is evicted; sockets hibernate")
await server.getWorker().evictDurableObject("SignalHub", { name: "default", webSockets: "hibernate" })
cast.say("hub", "has lost its memory")
cast.say("visitor", `asks process 3 and hears "${await greeter.ask("greet", { name: "Linus" })}"`)
cast.say("visitor", `asks the page and hears "${await page.ask("greet", { name: "Linus" })}"`)
await hub.publish("news", "headline", "nobody noticed")
await Promise.all(["process 3", "process 2", "page"].map((who) => cast.heard(who, "nobody noticed")))

cast.step("Everybody leaves. That was all.")
