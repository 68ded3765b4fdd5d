/**
 * Faults that a run of chaos must notice: each is put into the hub's source, as text, and then one run is to
 * find something violated. A run that can't fail shows nothing.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "esbuild"
import { edited } from "../simulation/bundle.ts"
import type { Mutant } from "../simulation/mutations/Mutant.ts"
import { runChaos } from "./runChaos.ts"

const ROOT = join(import.meta.dirname, "../..")
const SOURCE = join(ROOT, "packages/cloudflare-transport/src")

/** Bundles the hub with the mutant in it. */
const bundle = async (mutant: Mutant, outfile: string): Promise<void> => {
  const path = join(ROOT, "packages", mutant.file)
  const contents = edited(mutant)
  await build({
    stdin: {
      contents: `export { SignalHub, hubWorker as default } from "${SOURCE}/index.ts"`,
      resolveDir: ROOT,
    },
    outfile,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "silent",
    plugins: [
      {
        name: "mutant",
        setup: ({ onLoad }) => {
          onLoad({ filter: /\.ts$/ }, (module) =>
            module.path === path ? { contents, loader: "ts" } : undefined,
          )
        },
      },
    ],
  })
}

/** Runs chaos on the mutant: the first thing that was violated, or `undefined` where it went unnoticed. */
export const tryMutant = async (
  mutant: Mutant,
  messages: number,
  seed: number,
): Promise<string | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), "signal-hub-mutant-"))
  try {
    const script = join(folder, "worker.js")
    await bundle(mutant, script)
    const { violations } = await runChaos({ messages, seed, script, healing: 5_000 })
    return violations[0]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
