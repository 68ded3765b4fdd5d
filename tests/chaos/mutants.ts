/**
 * Faults that a run of chaos must notice: each is put into the hub's source, as text, and then one run is to
 * find something violated. A run that can't fail shows nothing.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "esbuild"
import { runChaos } from "./runChaos.ts"

interface Mutant {
  readonly name: string
  /** Within the package's `src`. */
  readonly file: string
  readonly from: string
  readonly to: string
}

export const MUTANTS: ReadonlyArray<Mutant> = [
  {
    name: "acknowledged before it is stored",
    file: "session/Outbox.ts",
    from: "this.#sql.run(\n      `INSERT INTO outbox",
    to: "if (first === null) this.#sql.run(\n      `INSERT INTO outbox",
  },
  {
    name: "a resume does not rewind",
    file: "hub/Resumption.ts",
    from: "outbox.rewind()",
    to: "",
  },
  {
    name: "what was taken is not stored",
    file: "session/Sessions.ts",
    from: "UPDATE session SET in_seq = ?,",
    to: "UPDATE session SET in_seq = 0 * ?,",
  },
  {
    name: "a takeover hands nothing over",
    file: "hub/Outboxes.ts",
    from: "if (passing.length > 0) this.of(winner).adopt(passing)",
    to: "",
  },
  {
    name: "the winner's live messages overtake what was the loser's",
    file: "session/Outbox.ts",
    from: "this.#session.replayed ??= this.#last",
    to: "",
  },
]

const ROOT = join(import.meta.dirname, "../..")
const SOURCE = join(ROOT, "packages/cloudflare-transport/src")

/** Bundles the hub with the mutant in it. */
const bundle = async ({ name, file, from, to }: Mutant, outfile: string): Promise<void> => {
  const path = join(SOURCE, file)
  const source = await readFile(path, "utf8")
  if (source.split(from).length !== 2) throw new Error(`"${name}": its text is not, or not once, in ${file}`)
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
            module.path === path ? { contents: source.replace(from, () => to), loader: "ts" } : undefined,
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
