import { test } from "vitest"
import { useHub } from "../support/hub.ts"
import { address, topic } from "../support/names.ts"
import { envelope } from "../support/RawClient.ts"
const hub = useHub()
const time = async (what: string, n: number, f: (i: number) => Promise<unknown>) => {
  const t = performance.now()
  for (let i = 0; i < n; i++) await f(i)
  console.log(what, ((performance.now() - t) / n).toFixed(2), "ms each")
}
test("latency", async () => {
  const [a, b] = [await hub.connect(), await hub.connect()]
  await time("heartbeat", 200, () => a.sync())
  await time("direct tell", 200, async () => { await a.send(envelope({ type: "x", to: b.identity })); await b.expect("x") })
  await time("ask unknown new", 100, () => a.request(envelope({ type: "x", pattern: "ask", to: address("u") })))
  const u = address("u")
  await time("ask unknown same", 100, () => a.request(envelope({ type: "x", pattern: "ask", to: u })))
  await time("register new", 100, () => a.ask("hub:register", { actorAddress: address("n") }))
  await time("discover one", 100, () => a.ask("hub:discover", { pattern: a.identity }))
  await time("discover all", 100, () => a.ask("hub:discover", { pattern: "@(test/**)" }))
  await time("subscribe new", 100, () => a.ask("hub:subscribe", { topic: topic("x") }))
  const t = topic("y")
  await time("subscribe same", 100, () => a.ask("hub:subscribe", { topic: t }))
  await time("publish", 100, () => a.ask("hub:publish", { topic: t, type: "x", data: 1 }))
  await time("register own", 100, () => a.ask("hub:register", { actorAddress: a.identity }))
  await time("register new", 100, () => a.ask("hub:register", { actorAddress: address("n") }))
  await time("connect new", 50, () => hub.connect())
  const same = address("same")
  await time("takeover", 50, () => hub.connect({ identity: same }))
}, 120000)
