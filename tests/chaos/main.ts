/**
 * `npm run chaos -- [--messages N] [--minutes T] [--seed S] [--identities K] [--json FILE]`: one run of chaos.
 * Prints its figures and, of what was violated, the history; fails where anything was. With `--mutants` a run
 * for each fault that it must notice; fails where one goes unnoticed.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { tryMutant } from "./mutants.ts"
import { MUTANTS } from "./mutations.ts"
import { runChaos } from "./runChaos.ts"

const { values } = parseArgs({
  options: {
    messages: { type: "string" },
    minutes: { type: "string" },
    seed: { type: "string" },
    identities: { type: "string", default: "50" },
    json: { type: "string" },
    mutants: { type: "boolean", default: false },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32))
const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
const messages = Number(values.messages ?? (minutes === undefined ? 100_000 : Number.POSITIVE_INFINITY))
const identities = Number(values.identities)
if ([seed, messages, identities, minutes ?? 1].some((number) => !(number >= 0)) || identities < 2) {
  process.stderr.write("--messages, --minutes, --seed and --identities (2 or more) take numbers\n")
  process.exit(2)
}

if (values.mutants) {
  let unnoticed = 0
  for (const mutant of MUTANTS) {
    const noticed = await tryMutant(mutant, values.messages === undefined ? 3_000 : messages, seed)
    if (noticed === undefined) unnoticed++
    const [line] = noticed?.split("\n") ?? ["UNNOTICED"]
    process.stdout.write(`${mutant.breaks}: ${line}\n`)
  }
  process.exit(unnoticed === 0 ? 0 : 1)
}

process.stderr.write(`chaos with seed ${seed}\n`)
const { figures, violations } = await runChaos({
  messages,
  seed,
  identities,
  ...(minutes !== undefined && { timeLimit: minutes * 60_000 }),
  log: (line) => process.stderr.write(`${line}\n`),
})
for (const [name, value] of Object.entries(figures)) {
  process.stdout.write(`${name.padEnd(20)} ${Number.isInteger(value) ? value : value.toFixed(1)}\n`)
}
for (const violation of violations) process.stdout.write(`\n${violation}\n`)
process.stdout.write(violations.length === 0 ? "nothing was violated\n" : `${violations.length} violations\n`)
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ suite: "chaos", figures, violations }, null, 2)}\n`)
}
// A client that still wants to reconnect must not keep the process.
process.exit(violations.length === 0 ? 0 : 1)
