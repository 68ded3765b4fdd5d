/** The mutations of what is stored by code of another version. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const CLIENT = `${TRANSPORT}/test/client/upgrades.test.ts`
const PERSISTENCE = `${TRANSPORT}/test/client/persistence.test.ts`
const CALLS = `${TRANSPORT}/test/gateway/Calls.test.ts`
const VERSIONS = `${TRANSPORT}/test/gateway/versions.test.ts`
const STORED = `${TRANSPORT}/test/object/upgrades.test.ts`
const WORKERD = `${TRANSPORT}/test/workerd/upgrades.test.ts`

const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`
const TABLES = `${TRANSPORT}/src/object/Tables.ts`
const SOCKETS = `${TRANSPORT}/src/hub/HubSockets.ts`
const object = (file: string): string => `${TRANSPORT}/src/object/${file}.ts`

export const UPGRADE_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 76,
    breaks: "older code takes storage of newer code for its own, and finds nothing in it",
    file: TABLES,
    edits: [["if (stored.readableFrom > own.version) throw", "if (false) throw"]],
    test: STORED,
  },
  {
    fault: 76,
    breaks: "the steps to a newer version are not taken",
    file: TABLES,
    edits: [["if (this.#isUpgraded) found", "if (false) found"]],
    test: STORED,
  },
  {
    fault: 76,
    breaks: "a step that fails has changed a part",
    file: TABLES,
    edits: [
      [
        "return this.#sql.transaction(() => {\n        // Older",
        "return (<A>(work: () => A) => work())(() => {\n        // Older",
      ],
    ],
    test: STORED,
  },
  {
    fault: 76,
    breaks: "code in between changes the tables of newer code",
    file: TABLES,
    edits: [["else if (stored.version <= own.version) this.#complete", "else this.#complete"]],
    test: STORED,
  },
  {
    fault: 76,
    breaks: "a row that is written again loses the columns of newer code",
    file: `${TRANSPORT}/src/object/Sql.ts`,
    edits: [
      [
        '\n    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${updates.join(", ")}`',
        "${updates.slice(0, 0)}`",
      ],
    ],
    test: STORED,
  },
  {
    fault: 76,
    breaks: "a socket that slept through an upgrade wakes older code on it",
    file: SOCKETS,
    edits: [["this.#bridge.restamp(this.#runtime.storage.tables.storedVersion)", ""]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "older code deletes what newer code has stored beside what it knows",
    file: object("ObjectStorage"),
    edits: [["    if (this.tables.isNewer) return\n", ""]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "those who are connected wait for older code that serves nobody",
    file: SOCKETS,
    edits: [["for (const connection of this.#bridge.connections()) this.#reject(connection)", ""]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "the deadlines of a hub, gateway, topic or shard are lost with the alarm that woke older code",
    file: object("ObjectRuntime"),
    edits: [["else this.storage.recheck()", ""]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "the deadlines of a durable actor are lost with the alarm that woke older code",
    file: `${TRANSPORT}/src/durable/DurableActor.ts`,
    edits: [["return this.#storage.recheck()", "return"]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "a message to an object that older code can't serve has failed, instead of being sent again",
    file: `${TRANSPORT}/src/delivery/Calls.ts`,
    edits: [[" && !isStorageRejected(error)", ""]],
    test: CALLS,
  },
  {
    fault: 76,
    breaks: "a method that the other object lacks is its failure",
    file: `${TRANSPORT}/src/delivery/Calls.ts`,
    edits: [["if (!isUnsupported(error, method)) return", "if (true) return"]],
    test: CALLS,
  },
  {
    fault: 76,
    breaks: "an older client takes the stored session of a newer one, and reads it as its own",
    file: client("StoredVersion"),
    edits: [["if (!(stored.readableFrom <= own.version)) throw", "if (false) throw"]],
    test: CLIENT,
  },
  {
    fault: 76,
    breaks: "an older program takes the store over before it knows that it can't read it",
    file: `${TRANSPORT}/src/persistence/File.ts`,
    edits: [
      ["  prepare(await lastBefore(path, Infinity))\n", ""],
      ["    await rm(own, { force: true })\n", ""],
    ],
    test: CLIENT,
  },
  {
    fault: 76,
    breaks: "a client that writes a message again loses the fields that newer code gave it",
    file: client("Journal"),
    edits: [["...this.#found.get(envelope.id),", ""]],
    test: PERSISTENCE,
  },
  {
    fault: 76,
    breaks: "what newer code keeps with a socket is gone when older code writes that anew",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [["      ...this.#kept,\n", ""]],
    test: WORKERD,
  },
  {
    fault: 76,
    breaks: "an operation of newer code is taken for another one",
    file: `${TRANSPORT}/src/directory/DirectoryCore.ts`,
    edits: [['else if (op.do === "identified") this.#identified', "else this.#identified"]],
    test: VERSIONS,
  },
  {
    fault: 76,
    breaks: "what only newer code can tell ends the telling of all else",
    file: `${TRANSPORT}/src/delivery/Notices.ts`,
    edits: [[" || !KNOWN.has(notice.do)", ""]],
    test: VERSIONS,
  },
  {
    fault: 76,
    breaks: "a client is told a code that only newer code knows",
    file: `${TRANSPORT}/src/hub/peers/Outcomes.ts`,
    edits: [[" || !(code in HUB_ERRORS)", ""]],
    test: VERSIONS,
  },
]
