/** Packs each package as it would be published and checks its exports map and their types. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const bin = (name: string): string => join(import.meta.dirname, "../node_modules/.bin", name)
const run = (command: string, args: ReadonlyArray<string>, cwd?: string): void => {
  execFileSync(command, [...args], {
    stdio: ["ignore", "ignore", "inherit"],
    ...(cwd === undefined ? {} : { cwd }),
  })
}

for (const name of ["actor-core", "cloudflare-transport"]) {
  const folder = join(import.meta.dirname, "../packages", name)
  const packed = mkdtempSync(join(tmpdir(), "signal-hub-pack-"))
  try {
    run(bin("publint"), [folder, "--strict"])
    run("npm", ["pack", "--pack-destination", packed, "--silent"], folder)
    // ESM only, so CommonJS resolution is no matter; the Worker's types are Cloudflare's globals.
    run(bin("attw"), [join(packed, readdirSync(packed)[0]!), "--profile", "esm-only"])
    console.log(`${name}: exports and types resolve`)
  } finally {
    rmSync(packed, { recursive: true })
  }
}
