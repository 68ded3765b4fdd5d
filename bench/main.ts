/**
 * `npm run bench -- [suite …] [--json FILE] [--rounds N] [--only SUBJECT …]`: measures, prints a
 * table of medians and ratios, and writes the rows to FILE. All suites where none is named.
 */
import { writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { table } from "./lib/table.ts"
import type { Row, Suite } from "./Suite.ts"
import { abuse } from "./suites/abuse.ts"
import { actors } from "./suites/actors.ts"
import { client } from "./suites/client.ts"
import { gateway } from "./suites/gateway.ts"
import { hub } from "./suites/hub.ts"
import { reliable } from "./suites/reliable.ts"

const suites: ReadonlyArray<Suite> = [hub, reliable, gateway, client, actors, abuse]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    rounds: { type: "string", default: "3" },
    only: { type: "string", multiple: true, default: [] },
  },
})
const rounds = Number(values.rounds)
const unknown = positionals.find((name) => suites.every((suite) => suite.name !== name))
if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
  const names = suites.map(({ name }) => name).join(", ")
  process.stderr.write(
    unknown === undefined
      ? "--rounds takes a whole number, 1 or more\n"
      : `There is no suite "${unknown}". There are: ${names}\n`,
  )
  process.exit(2)
}

const rows: Array<Row> = []
const failures: Array<string> = []
for (const suite of suites) {
  if (positionals.length > 0 && !positionals.includes(suite.name)) continue
  const log = (line: string) => process.stderr.write(`${suite.name}: ${line}\n`)
  const outcome = await suite.run({ rounds, only: values.only, log })
  rows.push(...outcome.rows)
  failures.push(...outcome.failures.map((failure) => `${suite.name}: ${failure}`))
  process.stdout.write(`\n${table(suite, outcome.rows)}\n`)
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`)
for (const failure of failures) process.stderr.write(`failed: ${failure}\n`)
// A client that still wants to reconnect must not keep the process.
process.exit(failures.length > 0 ? 1 : 0)
