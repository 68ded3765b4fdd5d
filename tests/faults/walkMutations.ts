/** The mutations of what holds what it has been given, without an end. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const BOUNDS = `${TRANSPORT}/test/bounds/bounds.test.ts`
const OBJECTS = `${TRANSPORT}/test/bounds/objects.test.ts`

export const WALK_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 70,
    breaks: "a hub remembers something of each that nobody has bounded",
    file: `${TRANSPORT}/src/hub/features/Watches.ts`,
    edits: [["  readonly #sql: Sql\n", "  readonly #sql: Sql\n  readonly #seen = new Set<string>()\n"]],
    test: BOUNDS,
  },
  {
    fault: 70,
    breaks: "a function of an object keeps something of each that nobody has bounded",
    file: `${TRANSPORT}/src/hub/HubCore.ts`,
    edits: [
      [
        "this.state = new HubState(",
        "const seen = new Set<string>(); on.rearm.bind(seen); Object.assign(on, { note: () => seen.size }); this.state = new HubState(",
      ],
    ],
    test: BOUNDS,
  },
  {
    fault: 70,
    breaks: "a table is made that nobody has bounded",
    file: `${TRANSPORT}/src/object/Schema.ts`,
    edits: [
      [
        "const TABLES: ReadonlyArray<string> = [\n",
        'const TABLES: ReadonlyArray<string> = [\n  "CREATE TABLE seen (a TEXT)",\n',
      ],
    ],
    test: BOUNDS,
  },
  {
    fault: 70,
    breaks: "the object around a hub remembers something of each that nobody has bounded",
    file: `${TRANSPORT}/src/object/ObjectRuntime.ts`,
    edits: [
      [
        "  readonly #timers: ObjectTimers\n",
        "  readonly #timers: ObjectTimers\n  readonly #seen = new Set<string>()\n",
      ],
    ],
    test: OBJECTS,
  },
]
