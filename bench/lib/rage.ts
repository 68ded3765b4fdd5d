/** Runs a storm in a process of its own, so that it takes nothing from who looks on. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { own } from "./childProcess.ts"
import type { Tally } from "./storms.ts"

/** Begins the storm; the result ends it and gives what it did. */
export const rage = async (name: string, url: string): Promise<() => Promise<Tally>> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "stormProcess.ts"), name, url], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const { ended } = own(child)
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text
  })
  await Promise.race([once(child.stdout, "data"), ended])
  return async () => {
    child.kill("SIGTERM")
    await ended
    const tally = said.split("\n")[1]
    if (!tally) throw new Error(`the storm "${name}" did not end as it should`)
    return JSON.parse(tally) as Tally
  }
}
