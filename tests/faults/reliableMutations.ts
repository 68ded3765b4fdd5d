/** The mutations of reliable sessions, at the server. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const RELIABLE = `${TRANSPORT}/test/hub/reliable.test.ts`
const PROPERTY = `${TRANSPORT}/test/hub/reliable.property.test.ts`

const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`
const session = (file: string): string => `${TRANSPORT}/src/session/${file}.ts`

export const RELIABLE_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 5,
    breaks: "a reliable ask is in memory only, as a quick one is",
    file: hub("features/Asks"),
    edits: [["    if (reliable) {\n", "    if (reliable && target === from) {\n"]],
    test: RELIABLE,
  },
  {
    fault: 12,
    breaks: "what the loser of a takeover did not acknowledge is lost with it",
    file: hub("session/IdentityClaim"),
    edits: [["  hub.outboxes.pass(", "  void [].at("]],
    test: RELIABLE,
  },
  {
    fault: 14,
    breaks: "the last number taken is not stored with what the frame led to",
    file: hub("Sequences"),
    edits: [["    this.#sessions.saveSequences(session)\n", "    incoming.taken = incoming.done\n"]],
    test: PROPERTY,
  },
  {
    fault: 19,
    breaks: "a session is resumed though what its client lacks is gone",
    file: session("Resume"),
    edits: [["  if (lastSeq < session.outAcked)", "  if (lastSeq < 0)"]],
    test: RELIABLE,
  },
  {
    fault: 22,
    breaks: "what comes live overtakes what is replayed",
    file: hub("HubState"),
    edits: [["if (session.replayed === null) {", "if (session.replayed !== undefined) {"]],
    test: RELIABLE,
  },
  {
    fault: 31,
    breaks: "what waited longer than its ttl is delivered",
    file: session("Outbox"),
    edits: [["if (ttl !== null && ttl <= 0) late.push(envelope)", "if (ttl === -1) late.push(envelope)"]],
    test: RELIABLE,
  },
  {
    fault: 39,
    breaks: "refusals that nobody reads pile up for ever",
    file: hub("Outboxes"),
    edits: [["if (outbox.isOverfull && ", "if (outbox.isOverfull && this.#hub === undefined && "]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what comes again under its number is taken again",
    file: session("InSequence"),
    edits: [["    if (seq <= this.arrived) {", "    if (seq < 0) {"]],
    test: RELIABLE,
  },
]
