/**
 * The mutations that `npm run faults` tries, one or more for each fault, in the order of their numbers. The
 * tests that are about a fault have its number in their names.
 */
import { AUTH_MUTATIONS } from "./authMutations.ts"
import { BOUND_MUTATIONS } from "./boundMutations.ts"
import { CLIENT_INPUT_MUTATIONS } from "./clientInputMutations.ts"
import { CLIENT_MUTATIONS } from "./clientMutations.ts"
import { BETWEEN_MUTATIONS } from "./betweenMutations.ts"
import { END_MUTATIONS } from "./endMutations.ts"
import { ENCODING_MUTATIONS } from "./encodingMutations.ts"
import { FORGERY_MUTATIONS } from "./forgeryMutations.ts"
import { GATEWAY_MUTATIONS } from "./gatewayMutations.ts"
import { RELIABLE_MUTATIONS } from "./reliableMutations.ts"
import { RUNTIME_MUTATIONS } from "./runtimeMutations.ts"
import { TIME_MUTATIONS } from "./timeMutations.ts"
import { UPGRADE_MUTATIONS } from "./upgradeMutations.ts"
import { VALUE_MUTATIONS } from "./valueMutations.ts"
import { VERDICT_MUTATIONS } from "./verdictMutations.ts"
import { SOCKET_MUTATIONS } from "./socketMutations.ts"
import { PRESENCE_MUTATIONS } from "./presenceMutations.ts"
import { TAKING_MUTATIONS } from "./takingMutations.ts"
import { MEMORY_MUTATIONS } from "./memoryMutations.ts"
import { WALK_MUTATIONS } from "./walkMutations.ts"
import type { Mutation } from "./Mutation.ts"

const CORE = "actor-core"
const TRANSPORT = "cloudflare-transport"

/** Tests. */
const ASKS = `${TRANSPORT}/test/hub/asks.test.ts`
const BACKPRESSURE = `${TRANSPORT}/test/hub/backpressure.test.ts`
const CLIENT = `${TRANSPORT}/test/client/faults.test.ts`
const CLIENT_BACKPRESSURE = `${TRANSPORT}/test/client/backpressure.test.ts`
const DELIVERY = `${TRANSPORT}/test/hub/delivery.test.ts`
const DURABLE = `${TRANSPORT}/test/workerd/durable/DurableActor.test.ts`
const LIVENESS = `${TRANSPORT}/test/hub/liveness.test.ts`
const MODEL = `${CORE}/test/model/model.test.ts`
const REGISTRY = `${TRANSPORT}/test/hub/registry.test.ts`
const SCALE = `${TRANSPORT}/test/hub/scale.test.ts`
const TAKEOVER = `${TRANSPORT}/test/hub/takeover.test.ts`
const TOPICS = `${TRANSPORT}/test/hub/topics.test.ts`
const WORKERD_BRIDGE = `${TRANSPORT}/test/workerd/WebSocketBridge.test.ts`
const WORKERD_HUB = `${TRANSPORT}/test/workerd/SignalHub.test.ts`
const WORKERD_LIMITS = `${TRANSPORT}/test/workerd/limits.test.ts`

const BRIDGE = `${TRANSPORT}/src/bridge/WebSocketBridge.ts`
const FIELD_RULES = `${TRANSPORT}/src/protocol/FieldRules.ts`
const RATE = `${TRANSPORT}/src/session/RateBucket.ts`
const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`
const durable = (file: string): string => `${TRANSPORT}/src/durable/${file}.ts`
const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`

/** The session of a connection that was superseded: found by identity, it is the winner's. */
const BY_IDENTITY = "connection.session?.identity && hub.sessions.byIdentity(connection.session.identity)"

const ROWS: ReadonlyArray<Mutation> = [
  {
    fault: 1,
    breaks: "sessions are gone with the memory that held them",
    file: `${TRANSPORT}/src/session/Sessions.ts`,
    edits: [["this.#storage = storage", 'this.#storage = storage; storage.sql.run("DELETE FROM session")']],
    test: LIVENESS,
  },
  {
    fault: 1,
    breaks: "registrations are gone with the memory that held them",
    file: hub("features/Registry"),
    edits: [["this.#sql = sql", 'this.#sql = sql; sql.run("DELETE FROM registration")']],
    test: LIVENESS,
  },
  {
    fault: 1,
    breaks: "subscriptions are gone with the memory that held them",
    file: hub("features/Topics"),
    edits: [["this.#sql = sql", 'this.#sql = sql; sql.run("DELETE FROM subscription")']],
    test: LIVENESS,
  },
  {
    fault: 1,
    breaks: "watches are gone with the memory that held them",
    file: hub("features/Watches"),
    edits: [["this.#sql = sql", 'this.#sql = sql; sql.run("DELETE FROM watch")']],
    test: LIVENESS,
  },
  {
    fault: 1,
    breaks: "a socket does not keep which session it has",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [["sessionId: this.sessionId,", "sessionId: null,"]],
    test: WORKERD_HUB,
  },
  {
    fault: 2,
    breaks: "the ping differs by a space from what clients send",
    file: `${TRANSPORT}/src/protocol/Frame.ts`,
    edits: [[`PING = '{"type":"ping"}'`, `PING = '{"type": "ping"}'`]],
    test: `${TRANSPORT}/test/protocol/protocol.test.ts`,
  },
  {
    fault: 2,
    breaks: "pings are messages, each of which wakes the object",
    file: `${TRANSPORT}/src/bridge/WebSocketBridge.ts`,
    edits: [["ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG))", ""]],
    test: WORKERD_BRIDGE,
  },
  {
    fault: 3,
    breaks: "the alarm goes on each minute after the last one has left",
    file: hub("HubCore"),
    edits: [["this.state.alarm.rearm(undefined)", "this.state.alarm.rearm(now + 60_000)"]],
    test: LIVENESS,
  },
  {
    fault: 3,
    breaks: "each alarm arms the next, with or without sockets",
    file: hub("HubCore"),
    edits: [
      ["alarm.rearm(this.#hasSockets() ? nextSweep : undefined)", "alarm.rearm(this.#port.now() + 60_000)"],
    ],
    test: LIVENESS,
  },
  {
    fault: 3,
    breaks: "the alarm is armed by the object's mere beginning",
    file: hub("Alarm"),
    edits: [
      ["this.#peersDueAt = peersDueAt", "this.#peersDueAt = peersDueAt; this.atLatest(port.now() + 60_000)"],
    ],
    test: LIVENESS,
  },
  {
    fault: 3,
    breaks: "a session whose end is noticed twice ends twice, and the alarm goes before the last one has",
    file: hub("session/Lifecycle"),
    edits: [["sessions.byId(session.id) !== session", "sessions.byId(session.id) === null"]],
    test: LIVENESS,
  },
  {
    fault: 4,
    breaks: "the attachment grows with what the client sends",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [
      ["sessionId: this.sessionId,", "sessionId: this.sessionId, clientMetadata: this.session?.metadata,"],
    ],
    test: WORKERD_HUB,
  },
  {
    fault: 5,
    breaks: "pending asks are gone with the memory that held them",
    file: hub("features/Asks"),
    edits: [["this.#sql = sql", 'this.#sql = sql; sql.run("DELETE FROM ask")']],
    test: ASKS,
  },
  {
    fault: 5,
    breaks: "only a timer knows when a pending ask times out",
    file: hub("features/AskEnds"),
    edits: [["if (earliest !== undefined) alarm.atLatest(earliest)", ""]],
    test: ASKS,
  },
  {
    fault: 5,
    breaks: "what a durable actor has asked is gone with its memory",
    file: durable("DurableHost"),
    edits: [["this.sql = sql\n", 'this.sql = sql; sql.run("DELETE FROM actor_ask")\n']],
    test: DURABLE,
  },
  {
    fault: 5,
    breaks: "the timers of a durable actor are gone with its memory",
    file: durable("DurableHost"),
    edits: [["this.sql = sql\n", 'this.sql = sql; sql.run("DELETE FROM actor_timer")\n']],
    test: DURABLE,
  },
  {
    fault: 6,
    breaks: "when a socket was last heard is written and never read",
    file: `${TRANSPORT}/src/session/Liveness.ts`,
    edits: [
      [
        "return now - Math.max(connection.heardAt, pingedAt > now ? 0 : pingedAt) >= silenceAllowed(limits)",
        "return false",
      ],
    ],
    test: `${TRANSPORT}/test/session/session.test.ts`,
  },
  {
    fault: 6,
    breaks: "no sweep looks for silent sockets",
    file: hub("HubCore"),
    edits: [["else if (isSilent(connection, limits, now))", "else if (false)"]],
    test: LIVENESS,
  },
  {
    fault: 7,
    breaks: "a TTL of NaN is taken",
    file: FIELD_RULES,
    edits: [
      [
        "value >= min && value <= (max ?? Number.MAX_VALUE)",
        "!(value < min || value > (max ?? Number.MAX_VALUE))",
      ],
    ],
    test: REGISTRY,
  },
  {
    fault: 7,
    breaks: "a negative TTL is taken",
    file: FIELD_RULES,
    edits: [["value >= min && value <= (max", "value <= (max"]],
    test: REGISTRY,
  },
  {
    fault: 7,
    breaks: "a renewal shortens the TTL to the default",
    file: hub("features/RegistryRequests"),
    edits: [["ttlSeconds ?? registration.ttlSeconds", "ttlSeconds ?? hub.port.limits.defaultTtlSeconds"]],
    test: REGISTRY,
  },
  {
    fault: 8,
    breaks: "the close of an old epoch's connection starts grace beside the live one",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const session = hub.sessions.of(connection)\n",
        `const session = hub.sessions.of(connection) ?? (${BY_IDENTITY})\n`,
      ],
    ],
    test: TAKEOVER,
  },
  {
    fault: 8,
    breaks: "the close of an old epoch's connection removes the new one's registrations",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const session = hub.sessions.of(connection)\n",
        `const session = hub.sessions.of(connection)
        const winner = session ?? (${BY_IDENTITY})
        if (winner) for (const held of hub.registry.heldBy(winner)) hub.registry.remove(held)\n`,
      ],
    ],
    test: TAKEOVER,
  },
  {
    fault: 8,
    breaks: "in memory, an old member's end takes the address from who has it now",
    file: `${CORE}/src/InMemoryTransport.ts`,
    edits: [["if (this.#holders.get(address) !== member) return", ""]],
    test: `${CORE}/test/InMemoryTransport.test.ts`,
  },
  {
    fault: 9,
    breaks: "frames of the old connection are executed after the takeover",
    file: hub("HubCore"),
    edits: [
      ['if (connection.state === "disconnecting" || connection.state === "disconnected") return', ""],
      [
        "const session = state.sessions.of(connection)",
        "const session = connection.session ?? state.sessions.of(connection)",
      ],
    ],
    test: TAKEOVER,
  },
  {
    fault: 10,
    breaks: "the verdict on 4409 is to reconnect",
    file: `${TRANSPORT}/src/protocol/CloseCode.ts`,
    edits: [['verdict: "superseded" }', 'verdict: "reconnect" }']],
    test: CLIENT,
  },
  {
    fault: 10,
    breaks: "a supersession is known by its close code alone, and that gets lost",
    file: client("SocketLife"),
    edits: [["duplicate_connection: CloseCode.Superseded,", ""]],
    test: CLIENT,
  },
  {
    fault: 11,
    breaks: "the first socket there is stands for the connection, closing or not",
    file: `${TRANSPORT}/src/bridge/WebSocketBridge.ts`,
    edits: [
      ["this.#ctx.getWebSockets(id)", "this.#ctx.getWebSockets()"],
      ["&& isUsable(connection)) return connection", ") return connection"],
    ],
    test: WORKERD_BRIDGE,
  },
  {
    fault: 13,
    breaks: "the answer to hub:disconnect is sent after the close",
    file: hub("session/SessionRequests"),
    edits: [
      ["reply(request, { payload: { acknowledged: true } })\n", ""],
      [
        "endSession(hub, session, now)\n",
        "endSession(hub, session, now)\n  reply(request, { payload: { acknowledged: true } })\n",
      ],
    ],
    test: `${TRANSPORT}/test/hub/connect.test.ts`,
  },
  {
    fault: 13,
    breaks: "the client closes without waiting for the acknowledgment",
    file: client("Connection"),
    edits: [
      ["return waitAtMost(timers, CLOSE_TIMEOUT, (done) => fiber.addObserver(done))", "return Effect.void"],
    ],
    test: CLIENT,
  },
  {
    fault: 14,
    breaks: "an ask in flight is not rejected when its connection is lost",
    file: client("Channel"),
    edits: [["this.pending.lose(code, cause)", ""]],
    test: CLIENT,
  },
  {
    fault: 14,
    breaks: "an ask that waits offline is never sent",
    file: client("Channel"),
    edits: [["this.sender.first(this.#first.splice(0))\n    this.sender.drain()", ""]],
    test: CLIENT,
  },
  {
    fault: 14,
    breaks: "an ask is never timed out",
    file: client("Channel"),
    edits: [["deadline: this.#now() + timeout,", "deadline: Infinity,"]],
    test: CLIENT,
  },
  {
    fault: 15,
    breaks: "what a stale socket receives counts for the new connection",
    file: client("SocketLife"),
    edits: [["of this.#stops) stop()", "of this.#stops.slice(0, 1)) stop()"]],
    test: CLIENT,
  },
  {
    fault: 15,
    breaks: "a stale onclose takes the new socket away",
    file: client("SocketLife"),
    edits: [
      ["of this.#stops) stop()", "of this.#stops.slice(0, 2)) stop()"],
      [
        "end(code: number, cause: string): void {",
        "end(code: number, cause: string): void {\n if (this.#ended) this.#options.channel.detach(code, cause)",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 15,
    breaks: "each event of one wake-up causes an attempt",
    file: client("Connection"),
    edits: [["Math.max(0, earliest - timers.now())", "0"]],
    test: CLIENT,
  },
  {
    fault: 15,
    breaks: "a wake-up after close() reconnects",
    file: client("Connection"),
    edits: [
      ["channel.inbox.close()\n        stopListening()\n", "channel.inbox.close()\n"],
      [
        "if (heartbeat === undefined)",
        "if (closing) Effect.runFork(loop)\n else if (heartbeat === undefined)",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 15,
    breaks: "close() while a token is being fetched ends connected",
    file: client("Connection"),
    edits: [["Effect.andThen(goodbye, Fiber.interrupt(fiber))", "goodbye"]],
    test: CLIENT,
  },
  {
    fault: 16,
    breaks: "the back-off has no jitter",
    file: client("Reconnect"),
    edits: [["random * Math.min(", "Math.min("]],
    test: CLIENT,
  },
  {
    fault: 16,
    breaks: "the back-off is reset by every open",
    file: client("Connection"),
    edits: [["if (timers.now() - connectedAt >= HELD)", "if (true)"]],
    test: CLIENT,
  },
  {
    fault: 16,
    breaks: "attempts have a lifetime budget, and it runs out",
    file: client("Reconnect"),
    edits: [["Schedule.modifyDelay(", "Schedule.upTo({ times: 100 }),\n Schedule.modifyDelay("]],
    test: CLIENT,
  },
  {
    fault: 17,
    breaks: "a dead token is retried for ever",
    file: client("Connection"),
    edits: [['if (refused || typeof token !== "function") verdict = "stay-away"', ""]],
    test: CLIENT,
  },
  {
    fault: 17,
    breaks: "the first call after the token has expired is dropped",
    file: client("Sender"),
    edits: [
      [
        "if (!this.#queue.push(waiting)) return",
        "if (!live) return undefined\n    if (!this.#queue.push(waiting)) return",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 18,
    breaks: "nobody misses the pong",
    file: client("Heartbeat"),
    edits: [["this.#unansweredSince ??= this.#quietSince", ""]],
    test: CLIENT,
  },
  {
    fault: 18,
    breaks: "any frame passes for the pong",
    file: client("SocketLife"),
    edits: [
      ["if (data === PONG) this.#heartbeat.pong()", "this.#heartbeat.pong()\n if (data === PONG) return"],
    ],
    test: CLIENT,
  },
  {
    fault: 19,
    breaks: "a connection that was not heard of for an hour is said to be healthy",
    file: client("Connection"),
    edits: [["silence > allowed", "false"]],
    test: CLIENT,
  },
  {
    fault: 19,
    breaks: "a page that is shown again does not ask whether its connection is still there",
    file: client("Connection"),
    edits: [["heartbeat.probe()", ""]],
    test: CLIENT,
  },
  {
    fault: 20,
    breaks: "the close of an identity's old socket deletes the subscriptions of the one that stays",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const session = hub.sessions.of(connection)\n",
        `const session = hub.sessions.of(connection)
        if (connection.session?.identity) hub.topics.release(connection.session, now)\n`,
      ],
    ],
    test: TOPICS,
  },
  {
    fault: 21,
    breaks: "of two claims of an identity both stay",
    file: hub("session/IdentityClaim"),
    edits: [
      [
        'disconnect(hub, connection, "duplicate_connection", CloseCode.Superseded, message, now)',
        "void message",
      ],
    ],
    test: TAKEOVER,
  },
  {
    fault: 21,
    breaks: "of two claims of an identity neither stays",
    file: hub("session/IdentityClaim"),
    edits: [
      [
        "hub.outboxes.replay(winner, now)",
        'disconnect(hub, hub.sessions.connectionOf(winner)!, "duplicate_connection", CloseCode.Superseded, "", now)',
      ],
    ],
    test: TAKEOVER,
  },
  {
    fault: 22,
    breaks: "nothing is registered, subscribed and watched again after a reconnect",
    file: client("Channel"),
    edits: [["this.wanted.replay(resumed === true)", ""]],
    test: CLIENT,
  },
  {
    fault: 22,
    breaks: "queued frames are overtaken by new ones",
    file: client("Channel"),
    edits: [
      [
        "    this.sender.first(this.#first.splice(0))\n    this.sender.drain()",
        "    queueMicrotask(() => this.sender.drain())",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 22,
    breaks: "who comes back within its grace finds its registrations gone",
    file: `${TRANSPORT}/src/session/Takeover.ts`,
    edits: [["superseded !== undefined && superseded.expirySeconds > 0", "false"]],
    test: LIVENESS,
  },
  {
    fault: 23,
    breaks: "from is delivered as the client wrote it",
    file: hub("HubState"),
    edits: [["this.registry.isHeldBy(session, written, now) ? written : own", "written"]],
    test: DELIVERY,
  },
  {
    fault: 23,
    breaks: "anybody may speak as the hub to a client",
    file: client("Inbox"),
    edits: [["if (ofHub && envelope.from !== HUB_ADDRESS) return", ""]],
    test: CLIENT,
  },
  {
    fault: 23,
    breaks: "in memory, from is delivered as its sender wrote it",
    file: `${CORE}/src/InMemoryTransport.ts`,
    edits: [["Address.isAddress(from) && sender.addresses.has(from)", "Address.isAddress(from)"]],
    test: `${CORE}/test/InMemoryTransport.test.ts`,
  },
  {
    fault: 29,
    breaks: "matching goes back to every star, not the last only",
    file: `${CORE}/src/AddressPattern.ts`,
    edits: [
      [
        "if (code === STAR) {",
        `if (code === STAR) {
      for (let k = to; k >= t; k--) if (matchSegment(pattern.slice(p + 1), text, k, to)) return true
      if (t >= from) return false`,
      ],
    ],
    test: `${CORE}/test/AddressPattern.test.ts`,
  },
  {
    fault: 30,
    breaks: "the size of a frame is counted in characters",
    file: `${TRANSPORT}/src/protocol/Frame.ts`,
    edits: [["frame.length : Envelope.utf8Length(frame)", "frame.length : frame.length"]],
    test: WORKERD_BRIDGE,
  },
  {
    fault: 30,
    breaks: "what is too large is decoded all the same",
    file: BRIDGE,
    edits: [["if (size <= maxMessageSize) {", "if (size > 0) {"]],
    test: WORKERD_BRIDGE,
  },
  {
    fault: 30,
    breaks: "what a reader has to acknowledge is counted in characters",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [["(encoded?.utf8Length?.(frame) ?? Envelope.utf8Length(frame))", "frame.length"]],
    test: WORKERD_LIMITS,
  },
  {
    fault: 30,
    breaks: "the client acknowledges characters",
    file: client("Inbox"),
    edits: [["? Envelope.utf8Length(frame) :", "? frame.length :"]],
    test: CLIENT_BACKPRESSURE,
  },
  {
    fault: 31,
    breaks: "what has expired is delivered",
    file: hub("HubCore"),
    edits: [["if (isExpired(envelope, receivedAt, now)) {", "if (isExpired(envelope, now + 1e9, now)) {"]],
    test: DELIVERY,
  },
  {
    fault: 31,
    breaks: "the id of an open ask is taken again",
    file: hub("Router"),
    edits: [["if (hub.asks.get(from, id) !== undefined) {", 'if (id === "") {']],
    test: ASKS,
  },
  {
    fault: 32,
    breaks: "whoever says that it is the actor may send its own messages",
    file: durable("Reception"),
    edits: [["if (from === address || type.startsWith", "if (type.startsWith"]],
    test: DURABLE,
  },
  {
    fault: 33,
    breaks: "an ask is answered by the hub as soon as it was sent",
    file: hub("Router"),
    edits: [
      [
        "hub.askTimer.watch(opened)",
        `hub.deliver(sender, hubEnvelope("hub:delivery_ack", from, {}, now, id), now)
        hub.askTimer.watch(opened)`,
      ],
    ],
    test: ASKS,
  },
  {
    fault: 33,
    breaks: "an actor's answer does not pass",
    file: hub("Router"),
    edits: [["toSession(incoming, open.askerSession, asker, answer)", "void answer"]],
    test: ASKS,
  },
  {
    fault: 35,
    breaks: "a copy of a broadcast carries the request's id as its correlationId",
    file: hub("features/DeliveryRequests"),
    edits: [["correlationId: null", "correlationId: envelope.id"]],
    test: DELIVERY,
  },
  {
    fault: 35,
    breaks: "a copy of a broadcast drops the sender's metadata",
    file: hub("features/DeliveryRequests"),
    edits: [["marked(envelope.metadata, { broadcast", "marked({}, { broadcast"]],
    test: DELIVERY,
  },
  {
    fault: 35,
    breaks: "a copy of a publication carries the request's id as its correlationId",
    file: hub("features/TopicRequests"),
    edits: [["correlationId: null", "correlationId: envelope.id"]],
    test: TOPICS,
  },
  {
    fault: 35,
    breaks: "a copy of a publication drops the sender's metadata",
    file: hub("features/TopicRequests"),
    edits: [["marked(envelope.metadata, { topic", "marked({}, { topic"]],
    test: TOPICS,
  },
  {
    fault: 36,
    breaks: "unsubscribing by id is refused",
    file: hub("features/TopicRequests"),
    edits: [["hub.topics.topicOf(id, owner)", "undefined"]],
    test: TOPICS,
  },
  {
    fault: 36,
    breaks: "unsubscribing is never acknowledged",
    file: hub("features/TopicRequests"),
    edits: [["return { payload: { topic } }", "return undefined!"]],
    test: TOPICS,
  },
  {
    fault: 37,
    breaks: "what was subscribed to before registering is lost",
    file: hub("session/IdentityClaim"),
    edits: [["hub.topics.move(provisional, identity)", "[]"]],
    test: TOPICS,
  },
  {
    fault: 38,
    breaks: "the client takes retryAfterMs for seconds",
    file: client("Inbox"),
    edits: [["= refusal.retryAfterMs", "= (refusal.retryAfterMs ?? 0) * 1_000"]],
    test: CLIENT,
  },
  {
    fault: 38,
    breaks: "the hub says retryAfter in seconds",
    file: BRIDGE,
    edits: [["retryAfter: retryAfterMs,", "retryAfter: retryAfterMs / 1_000,"]],
    test: WORKERD_LIMITS,
  },
  {
    fault: 38,
    breaks: "who waits as long as it was told is refused again",
    file: RATE,
    edits: [["Math.ceil((missing * 1_000)", "Math.ceil((missing * 1)"]],
    test: `${TRANSPORT}/test/session/rate.test.ts`,
  },
  {
    fault: 38,
    breaks: "what fails validation is called internal_error",
    file: hub("Rejection"),
    edits: [['"invalid_message"', '"internal_error"']],
    test: DELIVERY,
  },
  {
    fault: 38,
    breaks: "the hub lets an ask to nobody run into its timeout",
    file: hub("Router"),
    edits: [["if (peers === undefined) return unknownActor(", "if (peers === undefined) return void ("]],
    test: DELIVERY,
  },
  {
    fault: 38,
    breaks: "the client lets an ask that is refused run into its timeout",
    file: client("Inbox"),
    edits: [
      [
        "if (correlationId !== null && this.#pending",
        "if (!ofHub && correlationId !== null && this.#pending",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 39,
    breaks: "nobody is ever told to pause",
    file: `${TRANSPORT}/src/session/Flow.ts`,
    edits: [["this.slow = true", ""]],
    test: BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "who was told to pause is forgotten with memory, and never told to go on",
    file: hub("PausedSenders"),
    edits: [["this.#sql = sql", 'this.#sql = sql; sql.run("DELETE FROM pause")']],
    test: BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "who goes on sending to a slow reader is served",
    file: hub("Backpressure"),
    edits: [["return hub.sessions.connectionOf(reader)?.flow.isFull === true", "return false"]],
    test: BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "what a reader has not acknowledged is forgotten over hibernation",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [
      ["sent: this.flow.sent,", "sent: 0,"],
      ["slow: this.flow.slow,", "slow: false,"],
    ],
    test: WORKERD_LIMITS,
  },
  {
    fault: 39,
    breaks: "the client sends on to who is paused",
    file: client("Inbox"),
    edits: [['if (type === "hub:pause") this.paused.add(String(actorAddress))', ""]],
    test: CLIENT_BACKPRESSURE,
  },
  {
    fault: 39,
    breaks: "what waits in the client grows without bound",
    file: client("SendQueue"),
    edits: [["this.#waiting.length >= this.limit ||", ""]],
    test: CLIENT_BACKPRESSURE,
  },
  {
    fault: 40,
    breaks: "who holds what is found without an index",
    file: `${TRANSPORT}/src/object/Schema.ts`,
    edits: [
      ["registration_session ON registration (session)", "registration_session ON registration (version)"],
    ],
    test: SCALE,
  },
  {
    fault: 40,
    breaks: "whose subscriptions there are is found without an index",
    file: `${TRANSPORT}/src/object/Schema.ts`,
    edits: [["subscription_owner ON subscription (owner)", "subscription_owner ON subscription (id)"]],
    test: SCALE,
  },
  {
    fault: 40,
    breaks: "sessions are counted anew each time",
    file: `${TRANSPORT}/src/session/Sessions.ts`,
    edits: [["this.#count ??= countOf", "this.#count = countOf"]],
    test: SCALE,
  },
  {
    fault: 40,
    breaks: "the end of a session looks at every other session",
    file: hub("session/Lifecycle"),
    edits: [
      [
        "const subscriptions = hub.topics.release(session, now)",
        `for (const other of hub.sessions.attached()) hub.registry.heldBy(other)
        const subscriptions = hub.topics.release(session, now)`,
      ],
    ],
    test: SCALE,
  },
  {
    fault: 41,
    breaks: "the pong is judged by another clock than the ping",
    file: client("Heartbeat"),
    edits: [
      [
        "if (this.#unansweredSince === undefined) return\n",
        "if (this.#unansweredSince === undefined || Date.now() - this.#unansweredSince >= PONG_TIMEOUT) return\n",
      ],
    ],
    test: CLIENT,
  },
  {
    fault: 42,
    breaks: "an ask that is delivered twice is executed twice",
    file: `${CORE}/src/Inbound.ts`,
    edits: [['if (cell.asks.has(key)) return runtime.dead("duplicate", envelope)', ""]],
    test: `${CORE}/test/Border.test.ts`,
  },
  {
    fault: 42,
    breaks: "a durable actor does again what is delivered again",
    file: durable("Inbox"),
    edits: [["if (before !== undefined) {", "if (before === null) {"]],
    test: DURABLE,
  },
  {
    fault: 42,
    breaks: "a durable actor forgets what it was asked when it is done, not what it did",
    file: durable("Inbox"),
    edits: [
      ["ON CONFLICT DO NOTHING", "ON CONFLICT DO UPDATE SET answer = NULL"],
      ["answer === null ? null : toRow(answer),\n    )", "null,\n    )"],
    ],
    test: DURABLE,
  },
  {
    fault: 43,
    breaks: 'an ask is always answered "delivered"',
    file: `${CORE}/src/ActorCell.ts`,
    edits: [
      [
        "if (!this.#scheduled && this.wait === null) this.#wake()",
        'message.takeAnswer()?.succeed("delivered")\n if (!this.#scheduled && this.wait === null) this.#wake()',
      ],
    ],
    test: `${CORE}/test/ActorSystem.test.ts`,
  },
  {
    fault: 43,
    breaks: "what an actor throws is invisible",
    file: `${CORE}/src/Turns.ts`,
    edits: [["    this.runtime.report(failure)\n    if", "    if"]],
    test: `${CORE}/test/ActorSystem.test.ts`,
  },
  {
    fault: 43,
    breaks: "restart keeps the broken state",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [
      ["    this.unmake()\n", ""],
      ["this.make(this.#behavior, () => this.system(() =>", "void (() => this.system(() =>"],
    ],
    test: `${CORE}/test/Supervision.test.ts`,
  },
  {
    fault: 43,
    breaks: "restart drops the mailbox",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [
      [
        '    this.#status = "ready"\n    this.#become = null\n',
        '    this.#status = "ready"\n    this.#become = null\n    while (this.#inbox.shift() !== null);\n',
      ],
    ],
    test: `${CORE}/test/Supervision.test.ts`,
  },
  {
    fault: 43,
    breaks: "stop doesn't stop",
    file: `${CORE}/src/Supervisor.ts`,
    edits: [
      [
        'return cell.stop("failed", Exit.failCause(failure.cause))\n    case "Escalate"',
        'return cell.resume()\n    case "Escalate"',
      ],
    ],
    test: `${CORE}/test/Supervision.test.ts`,
  },
  {
    fault: 43,
    breaks: "the sender is lost on forwarded messages",
    file: `${CORE}/src/Outbound.ts`,
    edits: [
      [
        "return cell.deliver(message)\n  }\n  const { border }",
        "return cell.deliver(new Message(message.name, message.payload, null, message.metadata, message.deadline, message.answer, null))\n  }\n  const { border }",
      ],
    ],
    test: `${CORE}/test/Forward.test.ts`,
  },
  {
    fault: 44,
    breaks: "supervision is wired to nothing",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [['if (this.#status !== "suspended") supervise(this, failure)', "this.#wake()"]],
    test: `${CORE}/test/Supervision.test.ts`,
  },
  {
    fault: 43,
    breaks: "an actor that stops itself handles its next message",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [
      [
        '    if (this.#stopRequested) return this.stop("stopped")\n    if (this.#become',
        "    if (this.#become",
      ],
    ],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "the children of an actor outlive it",
    file: `${CORE}/src/Ending.ts`,
    edits: [["  if (cell.last !== null) work.push(stopChildren(cell))\n", ""]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "what an actor had put aside comes back in the wrong order",
    file: `${CORE}/src/Inbox.ts`,
    edits: [["stashed.toReversed()", "stashed"]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "a restart drops what was put aside",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [["    this.#system = null\n    this.unstashAll()", "    this.#system = null"]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "a promised answer is never refused when its actor ends",
    file: `${CORE}/src/Incarnation.ts`,
    edits: [["for (const answer of replies?.values() ?? []) answer.refuse(TERMINATED)", ""]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "the end of a watched actor is told twice",
    file: `${CORE}/src/DeathWatch.ts`,
    edits: [
      [
        "          this.#cell.signal(Signal.terminated, { address, reason })",
        "          this.#cell.signal(Signal.terminated, { address, reason })\n          this.#cell.signal(Signal.terminated, { address, reason })",
      ],
    ],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "a watch of an actor that is gone is silent",
    file: `${CORE}/src/DeathWatch.ts`,
    edits: [['? Effect.succeed("unknown")', "? Effect.never"]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "what was to be said to an actor before its restart is said after",
    file: `${CORE}/src/ActorCell.ts`,
    edits: [["    this.#system = null\n    this.unstashAll()", "    this.unstashAll()"]],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "what an interrupted pipe says of its end takes room in the mailbox",
    file: `${CORE}/src/CellContext.ts`,
    edits: [
      ["if (source.over || cell.ended) return", "if (cell.incarnation !== source || cell.ended) return"],
    ],
    test: MODEL,
  },
  {
    fault: 43,
    breaks: "a bounded mailbox takes more in than it holds",
    file: `${CORE}/src/Inbox.ts`,
    edits: [[" || this.#full) return message", ") return message"]],
    test: `${CORE}/test/Incarnation.test.ts`,
  },
  {
    fault: 43,
    breaks: "a message that fails is no dead letter",
    file: `${CORE}/src/Turns.ts`,
    edits: [
      ['    if (message !== null) this.runtime.deadMessage("failed", this.address, message, cause)\n', ""],
    ],
    test: MODEL,
  },
  {
    fault: 44,
    breaks: "an escalated failure ends the child, and its parent hears nothing",
    file: `${CORE}/src/Supervisor.ts`,
    edits: [["  if (parent === null) return cell.stop", "  if (parent !== undefined) return cell.stop"]],
    test: MODEL,
  },
  {
    fault: 44,
    breaks: "the siblings of one that fails are left as they are",
    file: `${CORE}/src/Supervisor.ts`,
    edits: [
      [
        "if (each === cell || (!each.suspended && !each.ended)) group.push(each)",
        "if (each === cell) group.push(each)",
      ],
    ],
    test: MODEL,
  },
  {
    fault: 44,
    breaks: "an actor is restarted without end",
    file: `${CORE}/src/Supervision.ts`,
    edits: [["      if (this.#times.length >= restarts) return null\n", ""]],
    test: MODEL,
  },
  {
    fault: 45,
    breaks: "an address does not give back the segments that it was made of",
    file: `${CORE}/src/Address.ts`,
    edits: [['address.slice(2, -1).split("/")', "address.slice(2, -1).split(/[/:]/)"]],
    test: `${CORE}/test/Address.test.ts`,
  },
  {
    fault: 45,
    breaks: "an address may be wrapped twice",
    file: `${CORE}/src/Address.ts`,
    edits: [['0123456789._~:-"', '0123456789._~:-@()"']],
    test: `${CORE}/test/Address.test.ts`,
  },
  {
    fault: 46,
    breaks: "the client reconnects after an explicit disconnect",
    file: client("Connection"),
    edits: [
      ["if (closing) return\n", ""],
      ["Effect.andThen(goodbye, Fiber.interrupt(fiber))", "goodbye"],
      ["return waitAtMost(timers, CLOSE_TIMEOUT, (done) => fiber.addObserver(done))", "return Effect.void"],
      ["if (closing) return Effect.asVoid(Fiber.await(fiber))", "if (closing) return Effect.void"],
      ["let { verdict } = ended", 'let verdict = "reconnect"'],
    ],
    test: CLIENT,
  },
  {
    fault: 46,
    breaks: "a transport that is closed still takes messages",
    file: `${CORE}/src/InMemoryTransport.ts`,
    edits: [["if (!member.open) return CLOSED", ""]],
    test: `${CORE}/test/InMemoryTransport.test.ts`,
  },
  {
    fault: 46,
    breaks: "a channel that closes emits one bogus item",
    file: `${CORE}/src/DeadLetterStream.ts`,
    edits: [
      [
        "const end = () => Queue.endUnsafe(queue)",
        `const end = () => {
          Queue.offerUnsafe(queue, { envelope: { id: "bogus" } } as DeadLetter)
          Queue.endUnsafe(queue)
        }`,
      ],
    ],
    test: `${CORE}/test/DeadLetters.test.ts`,
  },
]

export const MUTATIONS: ReadonlyArray<Mutation> = [
  ...ROWS,
  ...AUTH_MUTATIONS,
  ...CLIENT_INPUT_MUTATIONS,
  ...CLIENT_MUTATIONS,
  ...GATEWAY_MUTATIONS,
  ...RELIABLE_MUTATIONS,
  ...BETWEEN_MUTATIONS,
  ...TIME_MUTATIONS,
  ...UPGRADE_MUTATIONS,
  ...WALK_MUTATIONS,
  ...VALUE_MUTATIONS,
  ...VERDICT_MUTATIONS,
  ...BOUND_MUTATIONS,
  ...RUNTIME_MUTATIONS,
  ...FORGERY_MUTATIONS,
  ...SOCKET_MUTATIONS,
  ...MEMORY_MUTATIONS,
  ...ENCODING_MUTATIONS,
  ...END_MUTATIONS,
  ...TAKING_MUTATIONS,
  ...PRESENCE_MUTATIONS,
].toSorted((a, b) => a.fault - b.fault)
