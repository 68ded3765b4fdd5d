/** The mutations of the gateway topology, which its own tests must notice. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const GATEWAY = `${TRANSPORT}/test/gateway/gateway.test.ts`
const BACKPRESSURE = `${TRANSPORT}/test/gateway/backpressure.test.ts`
const ROUTES = `${TRANSPORT}/test/gateway/RoutingTable.test.ts`
const REACH = `${TRANSPORT}/test/workerd/reach.test.ts`
const STREAMS = `${TRANSPORT}/test/workerd/streams.test.ts`
const WATCHES = `${TRANSPORT}/test/gateway/watches.test.ts`
const WORKERD_GATEWAY = `${TRANSPORT}/test/workerd/gateway.test.ts`

const delivery = (file: string): string => `${TRANSPORT}/src/delivery/${file}.ts`
const gateway = (file: string): string => `${TRANSPORT}/src/gateway/${file}.ts`
const topics = (file: string): string => `${TRANSPORT}/src/topics/${file}.ts`
const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`

/** The session of a connection that was superseded: found by identity, it is the winner's. */
const BY_IDENTITY = "connection.session?.identity && hub.sessions.byIdentity(connection.session.identity)"

export const GATEWAY_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 4,
    breaks: "a takeover is not one step: what fails in the middle has ended the old session",
    file: hub("HubState"),
    edits: [["result = this.port.sql.transaction(writes)", "result = writes()"]],
    test: GATEWAY,
  },
  {
    fault: 8,
    breaks: "at a gateway, the close of an old epoch's connection ends the new one's session",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const session = hub.sessions.of(connection)\n",
        `const session = hub.sessions.of(connection) ?? (${BY_IDENTITY})\n`,
      ],
    ],
    test: GATEWAY,
  },
  {
    fault: 9,
    breaks: "at a gateway, frames of the old connection are executed after the takeover",
    file: hub("HubCore"),
    edits: [
      ['if (connection.state === "disconnecting" || connection.state === "disconnected") return', ""],
      [
        "const session = state.sessions.of(connection)",
        "const session = connection.session ?? state.sessions.of(connection)",
      ],
    ],
    test: GATEWAY,
  },
  {
    fault: 12,
    breaks: "at a gateway, an ask of the old session stays open for the winner",
    file: hub("session/Lifecycle"),
    edits: [["for (const ask of asked) hub.asks.close(ask)", ""]],
    test: GATEWAY,
  },
  {
    fault: 12,
    breaks: "who asked another gateway is not told that its session there is over",
    file: hub("features/AskEnds"),
    edits: [["else hub.peers!.send(failure, now, askerSession as Address.Address)", ""]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "a topic that missed the end of a subscription counts on it for ever",
    file: topics("TopicCore"),
    edits: [['const isOver = code === "not_subscribed" &&', "const isOver = code === undefined &&"]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "watchers at other gateways are not told when grace is over",
    file: hub("HubState"),
    edits: [['else this.lifecycle.emit({ type: "terminated", watcher, address, reason })', ""]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "what could not be told that a session is over counts on it for ever",
    file: hub("peers/HubPeers"),
    edits: [["done(!results.some(isFailed))", "done(true)"]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "what is told late takes away what is so again",
    file: gateway("GatewayPeers"),
    edits: [[".filter((topic) => this.hub.topics.get(topic).get(address) === undefined)", ""]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "a topic that nobody comes back to keeps its tables",
    file: topics("TopicCore"),
    edits: [["if (this.#isEmpty) this.#port.forget()", ""]],
    test: GATEWAY,
  },
  {
    fault: 19,
    breaks: "a gateway that nobody needs keeps its tables",
    file: hub("peers/ActorRpcServer"),
    edits: [["if (core.isEmpty) storage.forget(() => core.hub.forget())", ""]],
    test: WORKERD_GATEWAY,
  },
  {
    fault: 19,
    breaks: "what has ended is known to a gateway's memory alone until answers before it are there",
    file: hub("HubState"),
    edits: [["isReliable ? this.outboxes.of(session).keepBack(envelope, now) : () => true", "() => true"]],
    test: WATCHES,
  },
  {
    fault: 20,
    breaks: "at a gateway, the takeover deletes the subscriptions of the one that stays",
    file: hub("session/IdentityClaim"),
    edits: [
      ["  hub.sessions.remove(loser)\n", "  hub.sessions.remove(loser)\n  hub.topics.release(loser, now)\n"],
    ],
    test: GATEWAY,
  },
  {
    fault: 21,
    breaks: "at a gateway, of ten claims all stay",
    file: hub("session/IdentityClaim"),
    edits: [
      [
        'disconnect(hub, connection, "duplicate_connection", CloseCode.Superseded, message, now)',
        "void message",
      ],
    ],
    test: GATEWAY,
  },
  {
    fault: 32,
    breaks: "a route is looked up among the names of JavaScript's own",
    file: delivery("RoutingTable"),
    edits: [
      [
        "const route = this.#routes.get(type)",
        "const route = (Object.fromEntries(this.#routes) as Routes<Env>)[type]",
      ],
    ],
    test: ROUTES,
  },
  {
    fault: 32,
    breaks: "what is no address leads somewhere",
    file: delivery("RoutingTable"),
    edits: [["if (!Address.isAddress(address) || isReserved(address)) return NOWHERE", ""]],
    test: ROUTES,
  },
  {
    fault: 32,
    breaks: "the first segment of an address names a binding",
    file: delivery("RoutingTable"),
    edits: [
      [
        "return this.#identities === undefined || this.#identities.has(type) ? GATEWAY : NOWHERE",
        'return { kind: "service", binding: type }',
      ],
    ],
    test: WORKERD_GATEWAY,
  },
  {
    fault: 33,
    breaks: "an ask to another gateway goes as a tell: nobody there may answer",
    file: hub("peers/Outbound"),
    edits: [["const delivery: Delivery = { envelope, ask }", "const delivery: Delivery = { envelope }"]],
    test: GATEWAY,
  },
  {
    fault: 32,
    breaks: "a hub takes every address that nobody in it has for one that leads elsewhere",
    file: delivery("RoutingTable"),
    edits: [["return !isNamed || this.leadsToHub(hub, address)", "return this.leadsToHub(hub, address)"]],
    test: ROUTES,
  },
  {
    fault: 5,
    breaks: "an ask that a durable actor repeats after an eviction is given to the client again",
    file: hub("peers/RemoteDeliveries"),
    edits: [["if (before !== undefined) return before", ""]],
    test: REACH,
  },
  {
    fault: 5,
    breaks: "who reads a durable actor's stream is not told that its memory was lost",
    file: `${TRANSPORT}/src/durable/DurableHost.ts`,
    edits: [["    this.streams.recover()\n", ""]],
    test: STREAMS,
  },
  {
    fault: 33,
    breaks: "who handed an ask on does not say to whom",
    file: hub("peers/HubPeers"),
    edits: [["    this.outbound.send(likeThat(moved, envelope), now, askerSession)\n", ""]],
    test: GATEWAY,
  },
  {
    fault: 34,
    breaks: "what waits longest for another object leaves last",
    file: delivery("Lanes"),
    edits: [
      ["lane.items.push(item)", "lane.items.unshift(item)"],
      ["lane.dones.push(done)", "lane.dones.unshift(done)"],
    ],
    test: GATEWAY,
  },
  {
    fault: 39,
    breaks: "who sends from another gateway is not told that it may go on",
    file: hub("Backpressure"),
    edits: [
      [
        'if (home !== undefined) hub.lifecycle.emit({ type: "resumed", home, address })',
        "if (home !== undefined) continue",
      ],
    ],
    test: BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "in a hub, who was told to pause by another object is not found when it may go on",
    file: hub("peers/Outbound"),
    edits: [["if (session !== undefined) notifyResumed(this.#hub, session, address, now)", ""]],
    test: REACH,
  },
  {
    fault: 39,
    breaks: "who goes on sending from another gateway is served",
    file: hub("peers/RemoteDeliveries"),
    edits: [["  if (!isReliable && isHopeless(hub, target)) return full(to, pause)\n", ""]],
    test: BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "a pause of before is told after hub:resume: its sender waits for ever",
    file: hub("peers/Outbound"),
    edits: [
      ["if (session === undefined || this.#resumed.has(lane)) return", "if (session === undefined) return"],
    ],
    test: BACKPRESSURE,
  },
]
