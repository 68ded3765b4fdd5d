/** The mutations of the client's verdicts on ends and outages. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const VERDICTS = `${TRANSPORT}/test/client/verdicts.test.ts`
const CREDIT = `${TRANSPORT}/test/client/credit.test.ts`
const UNDELIVERABLE = `${TRANSPORT}/test/client/undeliverable.test.ts`
const WORKER = `${TRANSPORT}/test/workerd/HubWorker.test.ts`

const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`

export const VERDICT_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 53,
    breaks: "no message is ever given up",
    file: client("Suspect"),
    edits: [["this.#ends > MAX_QUICK_ENDS", "this.#ends > 1e9"]],
    test: UNDELIVERABLE,
  },
  {
    fault: 53,
    breaks: "what is under suspicion is sent with the rest",
    file: client("Sender"),
    edits: [["suspect.isCareful ? unacknowledged.oldest?.seq : undefined", "undefined"]],
    test: UNDELIVERABLE,
  },
  {
    fault: 53,
    breaks: "a connection that lasted counts like one that ended at once",
    file: client("Suspect"),
    edits: [["if (lastedMs >= MAX_QUICK_END_MS) return this.clear()", ""]],
    test: UNDELIVERABLE,
  },
  {
    fault: 53,
    breaks: "who sent the message that is given up hears nothing",
    file: client("Sender"),
    edits: [
      [
        'const error = new TransportError({\n      reason: "undeliverable"',
        'return\n    const error = new TransportError({\n      reason: "undeliverable"',
      ],
    ],
    test: UNDELIVERABLE,
  },
  {
    fault: 53,
    breaks: "frames stay as large as they were, though none passes",
    file: client("Sender"),
    edits: [["this.#out.isSingle = suspect.isCareful", "this.#out.isSingle = false"]],
    test: UNDELIVERABLE,
  },
  {
    fault: 53,
    breaks: "the suspicion of one session falls on the first message of the next",
    file: client("Unacknowledged"),
    edits: [["this.suspect.clear()", ""]],
    test: UNDELIVERABLE,
  },
  {
    fault: 54,
    breaks: "1000 ends the client, whoever closes with it",
    file: `${TRANSPORT}/src/protocol/CloseCode.ts`,
    edits: [['verdict: "reconnect", afterGoodbye: "stay-away"', 'verdict: "stay-away"']],
    test: VERDICTS,
  },
  {
    fault: 54,
    breaks: "a goodbye counts for the connections that follow, too",
    file: client("Inbox"),
    edits: [["this.saidGoodbye = false\n    this.retry", "this.retry"]],
    test: VERDICTS,
  },
  {
    fault: 55,
    breaks: "as much as there is leaves at once",
    file: client("Credit"),
    edits: [["return this.#sent - this.#handled >= this.#window", "return false"]],
    test: CREDIT,
  },
  {
    fault: 55,
    breaks: "what the hub has worked on is never known, and a burst stands still",
    file: client("Credit"),
    edits: [["this.#handled = this.#askedAt", ""]],
    test: CREDIT,
  },
  {
    fault: 55,
    breaks: "the hub is not asked again as it has answered, and a burst stands still",
    file: client("Sender"),
    edits: [["        if (credit.isDue) this.#askHub(credit)\n", ""]],
    test: CREDIT,
  },
  {
    fault: 56,
    breaks: "a slash at the end of a path leads nowhere",
    file: `${TRANSPORT}/src/worker/HubWorker.ts`,
    edits: [['pathname.length > 1 && pathname.endsWith("/")', "false"]],
    test: WORKER,
  },
  {
    fault: 56,
    breaks: "a socket that never opens is a lost connection",
    file: client("SocketLife"),
    edits: [["this.#isOpen ? meaningOf(code) : unopened(this.#error)", "meaningOf(code)"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "attempts that fail are never logged",
    file: client("Connection"),
    edits: [["if (isPowerOfTwo(failures)", "if (failures < 0"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "each attempt that fails is logged",
    file: client("Connection"),
    edits: [["if (isPowerOfTwo(failures)", "if (failures > 0"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "the log shows the query of the URL",
    file: client("Connection"),
    edits: [["`${protocol}//${host}${pathname}`", "`${protocol}//${host}${pathname}${String(url)}`"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "the health says nothing of the cause",
    file: client("Connection"),
    edits: [['cause: "cause" in state ? state.cause : null', "cause: null"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "the subprotocol that the server chose is not looked at",
    file: client("SocketLife"),
    edits: [["const isOffered = protocol === undefined", "const isOffered = true"]],
    test: VERDICTS,
  },
  {
    fault: 56,
    breaks: "a URL with a fragment is left to the platform to reject",
    file: client("readOptions"),
    edits: [["fragment >= 0", "fragment < -1"]],
    test: VERDICTS,
  },
]
