/** `hub:connect`: judges it, makes the session, claims its identity. A failed one changes nothing. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { Claims } from "../../auth/Claims.ts"
import { CloseCode } from "../../protocol/CloseCode.ts"
import { errorEnvelope, hubEnvelope } from "../../protocol/HubEnvelope.ts"
import {
  type AdvertisedLimits,
  type Connected,
  type NotResumedReason,
  provisionalAddress,
  type ResumableSession,
  type Resume,
} from "../../protocol/HubMessage.ts"
import type { Metadata } from "../../protocol/FieldRules.ts"
import type { Limits } from "../../protocol/Limits.ts"
import {
  negotiate,
  PROTOCOL_VERSION,
  type ProtocolMajor,
  SERVER_VERSION,
  supportedFrom,
} from "../../protocol/Version.ts"
import type { Connection } from "../../session/Connection.ts"
import { InSequence } from "../../session/InSequence.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import { revokeForbidden } from "./Revocation.ts"
import type { HubState } from "../HubState.ts"
import { claimIdentity } from "./IdentityClaim.ts"
import { closeConnection, disconnect } from "./Lifecycle.ts"
import { readMetadata, NO_SESSION } from "../readRequest.ts"
import { malformed, Rejection } from "../Rejection.ts"
import { judge, newResumeToken, resumeSession } from "./Resumption.ts"

/** What is wanted of a `hub:connect`, where it may be. */
export interface Claim {
  readonly major: ProtocolMajor
  readonly identity: Address.Address | undefined
  readonly claims: Claims | null
  readonly metadata: Metadata
  readonly expirySeconds: number
  readonly resume: Resume | undefined
  /** Whether a session that holds the identity ends with all that it has. */
  readonly cleanStart: boolean
  /** Whether the identity is taken back from who has it now. */
  readonly reclaim: boolean
}

export const connect = (
  hub: HubState,
  connection: Connection,
  envelope: Envelope.Envelope,
  claims: Claims | Rejection | null,
  now: number,
): void => {
  try {
    if (claims instanceof Rejection) throw claims
    if (claims?.expiresAt != null && claims.expiresAt <= now) {
      // That of the upgrade stays what it is: another attempt on this connection can't succeed.
      const close = connection.claims === null ? undefined : CloseCode.Unauthorized
      throw new Rejection("token_expired", "the token has expired", {}, close)
    }
    const claim = readClaim(envelope, claims, hub)
    if (claim.major !== 0 && envelope.pattern === "ask" && envelope.correlationId !== null) {
      throw malformed('an ask has no "correlationId"')
    }
    accept(hub, connection, envelope, claim, now)
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    refuse(hub, connection, envelope, error, now)
  }
}

const readClaim = (envelope: Envelope.Envelope, claims: Claims | null, hub: HubState): Claim => {
  const { identity, limits } = hub.port
  const unread = { envelope, hub, session: NO_SESSION }
  const { protocolVersion } = readMetadata("hub:connect", unread, "protocolVersion")
  const major = negotiate(protocolVersion)
  if (major === "malformed" || major === "unsupported" || major < limits.minProtocolMajor) {
    const supportedVersions = supportedFrom(limits.minProtocolMajor)
    const message = `protocol ${protocolVersion} is not supported; ${supportedVersions.join(" and ")} ${supportedVersions.length === 1 ? "is" : "are"}`
    const details = {
      clientVersion: protocolVersion,
      serverVersion: PROTOCOL_VERSION,
      supportedVersions,
      message,
    }
    throw new Rejection("version_mismatch", message, details, CloseCode.VersionMismatch)
  }
  const source = { envelope, hub, session: { major } }
  const { actorIdentity } = readMetadata("hub:connect", source, "capabilities", "actorIdentity")
  const known = identityOf(actorIdentity, identity ?? claims?.identity)
  const rest = readMetadata(
    "hub:connect",
    source,
    "clientMetadata",
    "sessionExpirySeconds",
    "resume",
    "cleanStart",
    "reclaim",
  )
  const { clientMetadata, sessionExpirySeconds, resume, cleanStart, reclaim } = rest
  return {
    major,
    identity: known,
    claims,
    metadata: clientMetadata,
    expirySeconds: sessionExpirySeconds,
    resume,
    cleanStart,
    reclaim,
  }
}

/** The identity that is known already, by the object or by the token; else the one that the client names. */
const identityOf = (
  named: Address.Address | undefined,
  known: Address.Address | undefined,
): Address.Address | undefined => {
  if (known === undefined) return named
  if (named === undefined || named === known) return known
  throw new Rejection("forbidden", '"metadata.actorIdentity" is not the identity of this connection')
}

/** A takeover adds no session. */
const takesOver = (hub: HubState, { identity }: Claim): boolean =>
  identity !== undefined && hub.sessions.byIdentity(identity) !== undefined

const accept = (
  hub: HubState,
  connection: Connection,
  envelope: Envelope.Envelope,
  claim: Claim,
  now: number,
): void => {
  const { limits } = hub.port
  const verdict = claim.resume === undefined || claim.cleanStart ? undefined : judge(hub, claim.resume, claim)
  if (verdict?.outcome === "forbidden") {
    throw new Rejection(
      "forbidden",
      '"metadata.resume" is not of a session of this client: connect without it',
    )
  }
  if (verdict?.outcome === "superseded" && !claim.reclaim) {
    const message = "another connection took over this identity meanwhile"
    return disconnect(hub, connection, "duplicate_connection", CloseCode.Superseded, message, now)
  }
  if (verdict?.outcome === "resumed") {
    const { session } = verdict
    resumeSession(hub, connection, session, claim, now)
    return greet(hub, connection, session, envelope.id, true, undefined, now)
  }
  // Taken back, the identity has another session now.
  const reason = verdict?.outcome === "superseded" ? "unknown_session" : verdict?.reason
  // The identity is looked up only where it matters: nearly always there is room.
  if (hub.sessions.count() >= limits.maxSessions && !takesOver(hub, claim)) {
    throw new Rejection(
      "registry_full",
      `the hub has ${limits.maxSessions} sessions, its most`,
      {},
      CloseCode.Unavailable,
    )
  }
  const session: Session = {
    id: crypto.randomUUID(),
    connectionId: connection.id,
    connection,
    identity: null,
    claims: claim.claims,
    resumeToken: claim.major === 0 ? null : newResumeToken(),
    previousToken: null,
    incoming: new InSequence(0),
    outAcked: 0,
    replayed: null,
    outbox: undefined,
    epoch: 0,
    major: claim.major,
    metadata: claim.metadata,
    connectedAt: now,
    expirySeconds: claim.expirySeconds,
    heardAt: now,
    graceUntil: null,
    received: 0,
    receivedSince: now,
    asked: new Set(),
    answering: new Set(),
    addresses: 0,
    subscriptions: 0,
    watches: 0,
  }
  hub.atomically(() => {
    // First, as what the claim leads to may be told to the session too.
    hub.announce(() => greet(hub, connection, session, envelope.id, false, reason, now))
    if (claim.identity === undefined) hub.sessions.save(session)
    else claimIdentity(hub, session, claim.identity, now, claim.cleanStart)
    // Of an identity that was claimed before, some things may have passed to the session.
    if (session.epoch > 1) revokeForbidden(hub, session, now)
  })
}

/** The session is there: its client hears of it first, then of what waits. */
const greet = (
  hub: HubState,
  connection: Connection,
  session: Session,
  correlationId: string,
  resumed: boolean,
  reason: NotResumedReason | undefined,
  now: number,
): void => {
  const expiresAt = session.claims?.expiresAt ?? null
  connection.sessionId = session.id
  connection.session = session
  connection.major = session.major
  connection.claims = null
  connection.isAnonymous = hub.port.authenticate === null && session.identity === null
  if (!connection.isAnonymous) connection.rate.claim(session.claims?.rates ?? null)
  if (expiresAt !== null) hub.alarm.atLatest(expiresAt)
  hub.transition(connection, "connected", "hub:connect")
  connection.save()
  hub.metrics.messagesSent++
  connection.send(connectedEnvelope(session, connection, correlationId, hub, resumed, reason, now))
  hub.outboxes.replay(session, now)
}

const connectedEnvelope = (
  session: Session,
  { rate }: Connection,
  correlationId: string,
  hub: HubState,
  resumed: boolean,
  reason: NotResumedReason | undefined,
  now: number,
): Envelope.Envelope => {
  const { identity, limits } = hub.port
  const payload: Connected = {
    sessionId: session.id,
    serverVersion: SERVER_VERSION,
    supportedVersions: supportedFrom(limits.minProtocolMajor),
    maxMessageSize: limits.maxMessageSize,
    heartbeatInterval: limits.heartbeatInterval,
    capabilities: {
      maxActorsPerInstance: limits.maxAddressesPerSession,
      supportsBackpressure: true,
      supportedContentTypes: ["application/json", "application/msgpack"],
    },
    limits: advertised({ ...limits, ...rate.rates }),
    topology: identity === undefined ? "hub" : "gateway",
    ...(session.resumeToken !== null && {
      session: resumable(hub, session, session.resumeToken, resumed, reason),
    }),
  }
  const tokenExpiresAt = session.claims?.expiresAt
  const metadata = {
    actorIdentity: session.identity,
    ...(typeof tokenExpiresAt === "number" && { tokenExpiresAt }),
  }
  return hubEnvelope("hub:connected", addressOf(session), payload, now, correlationId, metadata)
}

/** What a client of 1.0 needs to go on with the session after its connection is lost. */
const resumable = (
  hub: HubState,
  session: Session,
  resumeToken: string,
  resumed: boolean,
  reason: NotResumedReason | undefined,
): ResumableSession => ({
  epoch: session.epoch,
  resumeToken,
  resumed,
  ...(reason !== undefined && { reason }),
  kept: {
    registrations: hub.registry.countOf(session),
    subscriptions: hub.topics.countOf(session),
    watches: hub.watches.countOf(session),
  },
  expirySeconds: session.expirySeconds,
  inSeq: session.incoming.done,
  outFirst: session.outAcked + 1,
  outNext: session.outbox === undefined ? session.outAcked + 1 : session.outbox.last + 1,
})

const advertised = (limits: Limits): AdvertisedLimits => ({
  maxMessageSize: limits.maxMessageSize,
  maxAddressesPerSession: limits.maxAddressesPerSession,
  maxSubscriptionsPerSession: limits.maxSubscriptionsPerSession,
  maxAsksPerSession: limits.maxAsksPerSession,
  maxPageSize: limits.maxPageSize,
  defaultTtlSeconds: limits.defaultTtlSeconds,
  minTtlSeconds: limits.minTtlSeconds,
  maxTtlSeconds: limits.maxTtlSeconds,
  maxSessionExpirySeconds: limits.maxSessionExpirySeconds,
  maxMetadataSize: limits.maxMetadataSize,
  maxEnvelopesPerSecond: limits.maxEnvelopesPerSecond,
  envelopeBurst: limits.envelopeBurst,
  maxBytesPerSecond: limits.maxBytesPerSecond,
  byteBurst: limits.byteBurst,
  maxValues: limits.maxValues,
  pauseThreshold: limits.pauseThreshold,
  resumeThreshold: limits.resumeThreshold,
})

/** Tells why; the last failure allowed is also the end of the connection. */
const refuse = (
  hub: HubState,
  connection: Connection,
  envelope: Envelope.Envelope,
  refusal: Rejection,
  now: number,
): void => {
  const { code, message, details } = refusal
  hub.metrics.errors++
  hub.log("warn", "connect_rejected", { connectionId: connection.id, code, reason: message })
  const to = provisionalAddress(connection.id)
  connection.send(errorEnvelope(null, to, code, message, now, envelope.id, details))
  connection.failures++
  if (refusal.close !== undefined) return closeConnection(hub, connection, refusal.close, code)
  if (connection.failures < hub.port.limits.maxConnectFailures) return connection.save()
  const isMalformed = code === "invalid_message" || code === "invalid_address"
  closeConnection(hub, connection, isMalformed ? CloseCode.ProtocolViolation : CloseCode.Unauthorized, code)
}
