/** Requests about who else is registered: all shards of the directory are asked at once. */
import type { ActorEntry, BroadcastAck } from "../protocol/HubMessage.ts"
import { copyFor, readBroadcast } from "../hub/features/DeliveryRequests.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { chargeRows } from "../hub/features/Pages.ts"
import { discovered, listAnswer, readDiscovery, readListing } from "../hub/features/RegistryRequests.ts"
import type { Handler } from "../hub/Requests.ts"
import { Later } from "../hub/Requests.ts"
import { rejectionOf } from "../hub/peers/PeerRequests.ts"
import type { GatewayPeers } from "./GatewayPeers.ts"
import { Pending, whenAll } from "../delivery/Pending.ts"
import {
  type ArgsOf,
  type BroadcastResult,
  CallFailed,
  type DirectoryPage,
  type MethodOf,
  type ResultOf,
} from "../delivery/Rpc.ts"
import { DIRECTORY_SHARDS, directoryShard, shardOf } from "../delivery/Shards.ts"

const ALL: ReadonlyArray<string> = Array.from({ length: DIRECTORY_SHARDS }, (_, index) =>
  directoryShard(index),
)

/** Asks shards, all at once. */
const askShards = <M extends MethodOf<"directory">>(
  { port }: GatewayPeers,
  shards: ReadonlyArray<string>,
  method: M,
  argsFor: (index: number) => ArgsOf<"directory", M>,
  done: (results: ReadonlyArray<ResultOf<"directory", M>> | CallFailed) => void,
): void => {
  const asked = shards.map((shard, index) => {
    const pending = new Pending<ResultOf<"directory", M> | CallFailed>()
    port.call("directory", shard, method, argsFor(index), method !== "broadcast", (result) =>
      pending.settle(result),
    )
    return pending
  })
  whenAll(asked, (results) => {
    const failed = results.find((result) => result instanceof CallFailed)
    done(failed instanceof CallFailed ? failed : (results as ReadonlyArray<ResultOf<"directory", M>>))
  })
}

export const gatewayDiscover =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { pattern, wanted, limit, after } = readDiscovery(request)
    const { source } = pattern
    // A pattern without a star is one address.
    const shards = source.includes("*") ? ALL : [shardOf(source)]
    const claims = request.session.claims?.text ?? null
    const query = { pattern: source, capabilities: wanted, after, limit, claims }
    return new Later((settle) =>
      askShards(
        peers,
        shards,
        "page",
        (): [typeof query] => [query],
        (pages) =>
          settle(() => {
            if (pages instanceof CallFailed) throw rejectionOf(pages)
            const { entries, next } = merged(pages, limit)
            return discovered(request, entries, next, lookedAt(pages))
          }),
      ),
    )
  }

const lookedAt = (pages: ReadonlyArray<{ readonly looked?: number }>): number =>
  pages.reduce((sum, { looked }) => sum + (looked ?? 0), 0)

/** The first entries of all pages, in the order of addresses, and where to go on in every shard. */
const merged = (
  pages: ReadonlyArray<DirectoryPage>,
  limit: number,
): { readonly entries: ReadonlyArray<ActorEntry>; readonly next: string | undefined } => {
  const byAddress = (a: ActorEntry, b: ActorEntry): number => (a.address < b.address ? -1 : 1)
  const all = pages.flatMap(({ entries }) => entries).toSorted(byAddress)
  // Beyond the end of the shortest page its shard may have more.
  const ends = pages.flatMap(({ next }) => next ?? []).toSorted()
  const known = ends[0] === undefined ? all : all.filter(({ address }) => address <= ends[0]!)
  const entries = known.slice(0, limit)
  if (entries.length < known.length) return { entries, next: entries.at(-1)!.address }
  return { entries, next: ends[0] }
}

export const gatewayList =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const listing = readListing(request)
    const { limit, offset } = listing
    const { connection, hub, session } = request
    const claims = session.claims?.text ?? null
    const { maxPageSize } = hub.port.limits
    return new Later((settle) => {
      const listed: Array<ActorEntry> = []
      const refused = (failed: CallFailed): void =>
        settle(() => {
          throw rejectionOf(failed)
        })
      const counted = (isCut: boolean): void =>
        askShards(
          peers,
          ALL,
          "count",
          (): [] => [],
          (counts) => {
            if (counts instanceof CallFailed) return refused(counts)
            const total = counts.reduce((sum, count) => sum + count, 0)
            settle((later) => listAnswer(later, listing, listed, isCut, total))
          },
        )
      /** Page by page, in the order of addresses, until those that are wanted are there. */
      const walk = (after: string, passed: number): void => {
        const query = { pattern: "*", capabilities: [], after, limit: maxPageSize, claims }
        askShards(
          peers,
          ALL,
          "page",
          (): [typeof query] => [query],
          (pages) => {
            if (pages instanceof CallFailed) return refused(pages)
            // Superseded or closed meanwhile: nobody is there to answer.
            if (hub.sessions.of(connection) !== session) return settle(() => undefined)
            chargeRows(connection, lookedAt(pages))
            const { entries, next } = merged(pages, Number.POSITIVE_INFINITY)
            const skipped = Math.min(offset - passed, entries.length)
            const wanted = entries.slice(skipped)
            const room = limit - listed.length
            listed.push(...wanted.slice(0, room))
            if (next !== undefined && listed.length < limit) walk(next, passed + skipped)
            else counted(next !== undefined || wanted.length > room)
          },
        )
      }
      walk(listing.after, listing.passed)
    })
  }

/** Each shard sends to those whom it knows, slice by slice. */
export const gatewayBroadcast =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { envelope, session } = request
    const { type, payload, metadata, excludeSelf, capability, pattern } = readBroadcast(request)
    const copy = copyFor(HUB_ADDRESS, request, type, payload, metadata)
    const slice = (after: string) => ({
      envelope: copy,
      pattern: pattern?.source ?? null,
      capability: capability ?? null,
      except: excludeSelf ? peers.port.identity : null,
      claims: session.claims?.text ?? null,
      after,
    })
    return new Later((settle) => {
      const done = ALL.map((shard) => broadcastIn(peers, shard, slice))
      whenAll(done, (results) =>
        settle(() => {
          chargeRows(request.connection, lookedAt(results))
          const sum = (count: (result: BroadcastResult) => number): number =>
            results.reduce((total, result) => total + count(result), 0)
          const answer: BroadcastAck = {
            messageId: envelope.id,
            deliveredCount: sum(({ delivered }) => delivered),
            failedCount: sum(({ failed }) => failed),
            queuedCount: 0,
          }
          return { payload: answer }
        }),
      )
    })
  }

type Slice = (after: string) => ArgsOf<"directory", "broadcast">[0]

/** All slices of a shard, one after the other. One that fails ends there: what was not sent is not counted. */
const broadcastIn = ({ port }: GatewayPeers, shard: string, slice: Slice): Pending<BroadcastResult> => {
  const total = new Pending<BroadcastResult>()
  const go = (after: string, delivered: number, failed: number, looked: number): void =>
    port.call("directory", shard, "broadcast", [slice(after)], false, (result) => {
      if (result instanceof CallFailed) {
        port.log("warn", "broadcast_incomplete", { shard, reason: result.message })
        return total.settle({ delivered, failed, next: null, looked })
      }
      const sums = [
        delivered + result.delivered,
        failed + result.failed,
        looked + (result.looked ?? 0),
      ] as const
      if (result.next === null)
        total.settle({ delivered: sums[0], failed: sums[1], next: null, looked: sums[2] })
      else go(result.next, ...sums)
    })
  go("", 0, 0, 0)
  return total
}
