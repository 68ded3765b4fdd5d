/** The dashboard's page: connects as the dashboard, draws what it sees, and reports it to whoever opened it. */
import { connect } from "@signal-hub/cloudflare-transport/client"
import { Sensor } from "../protocols.ts"
import { Fleet } from "./Fleet.ts"
import "./style.css"
import { view } from "./view.ts"

declare const report: (line: string) => Promise<void>

const host = new URL(import.meta.url).searchParams.get("host")!
const hub = await connect(`ws://${host}/gateway`, { identity: "@(dashboard/main)", waitOnFirstConnect: true })

let reported = ""
let drawing = false
/** Draws once a frame, however much has changed. */
const draw = (): void => {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    show()
    const counts = [...fleet.count()].map(([state, n]) => `${n} ${state}`).join(", ")
    if (counts !== reported) void report(`sees ${counts}`)
    reported = counts
  })
}
const fleet = new Fleet(hub, draw)
const show = view(
  document.body,
  fleet,
  (address) => void hub.actor(Sensor, address).tell("retire", undefined),
)
await fleet.watch()
draw()
